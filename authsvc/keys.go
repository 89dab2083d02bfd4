package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/authsvc/internal/apikey"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/internal/contract"
)

// keyNew is `authsvc key new`: it adds a machine's key to the file and prints
// the text that opens with it, once.
func keyNew(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("authsvc key new", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("file", "", "file of --api-keys")
	name := flags.String("name", "", "whose key it is: the name in logs")
	roles := flags.String("roles", "", "roles, separated by commas")
	servers := flags.String("servers", "", "servers that it opens, separated by commas; none for the gate")
	life := flags.Duration("for", 90*24*time.Hour, "how long it is good")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	var odd error
	flags.Visit(func(f *flag.Flag) { odd = errors.Join(odd, oddList(f)) })
	if odd != nil {
		fmt.Fprintf(stderr, "authsvc key new: %s\n", oneLine(odd))
		return exitUsage
	}
	if *file == "" || *name == "" || *life <= 0 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "authsvc key new: want --file FILE --name NAME [--roles A,B] [--servers A,B] [--for 2160h]")
		return exitUsage
	}
	key, text := apikey.New(*name, list(*roles), list(*servers), time.Now().Add(*life))
	if err := apikey.Add(*file, key); err != nil {
		fmt.Fprintf(stderr, "authsvc key new: %s\n", oneLine(err))
		return exitFailed
	}
	fmt.Fprintln(stdout, text)
	return exitOK
}

// oddList says what is wrong with a list that was given: an empty one would open
// all servers, and " b" is the name of nothing.
func oddList(f *flag.Flag) error {
	if f.Name != "roles" && f.Name != "servers" {
		return nil
	}
	for one := range strings.SplitSeq(f.Value.String(), ",") {
		if one == "" || one != strings.TrimSpace(one) {
			return fmt.Errorf("--%s %q: want A,B with no spaces and nothing empty; leave the flag out for none", f.Name, f.Value)
		}
	}
	return nil
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// keyAccess is what a machine's key opens, in the form of an access token. Its
// scopes are those that are demanded here: the file says what it may by roles.
func (t tokens) keyAccess(text string) (provider.Access, error) {
	if t.keys == nil {
		return provider.Access{}, fmt.Errorf("%w: a key, and no --api-keys", provider.ErrToken)
	}
	key, ok := t.keys.Find(text)
	if !ok {
		return provider.Access{}, fmt.Errorf("%w: a key that is unknown or has ended", provider.ErrToken)
	}
	a := provider.Access{
		Audience: []string{t.rules.PublicURL}, Party: key.Name, // issued before any revocation of it
		Identity: contract.Identity{
			Subject: "key:" + key.Name, Name: key.Name, Roles: key.Roles, SessionID: key.Session(),
			Scopes: slices.Clone(t.rules.Scopes), Expires: key.Expires,
		},
	}
	if len(key.Servers) > 0 {
		a.Audience = nil
	}
	for _, server := range key.Servers {
		a.Audience = append(a.Audience, t.rules.PublicURL+"/servers/"+server+"/mcp")
		a.Identity.Scopes = append(a.Identity.Scopes, t.rules.ServerScopes(server)...)
	}
	return a, a.Identity.Fits()
}

// ended is what the store knows of endings, and the sessions of keys that are no
// longer in the file: what such a key has open ends as that of a login does.
func (s *service) ended(ctx context.Context, ids ...string) (map[string]time.Time, error) {
	found, err := s.endings.Ended(ctx, ids...)
	if err != nil {
		return nil, err
	}
	over := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !contract.IsKeySession(id) })
	if s.tokens.keys != nil {
		over = s.tokens.keys.Ended(over)
	}
	for _, id := range over {
		if found == nil {
			found = map[string]time.Time{}
		}
		found[id] = time.Now()
	}
	return found, nil
}
