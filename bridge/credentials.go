package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/credential"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// openCredentials lets children have their users' own credentials.
func (g *gate) openCredentials(client *http.Client) error {
	u, err := url.Parse(g.flags.IdentityKeys)
	if err != nil {
		return fmt.Errorf("%w: --identity-keys: %w", errUsage, err)
	}
	u.Path, u.RawQuery = contract.PathCredentials, ""
	g.credentials = credential.New(&credential.Keeper{URL: u.String(), Client: client, Audit: g.watch.audit, Log: g.log})
	g.workers.start(g.credentials.Run)
	return nil
}

// lender is how the children of an entry get their credential, nil for none.
func (g *gate) lender(e config.Server) fleet.Lend {
	c := e.Gate.Credentials
	if c == nil || g.credentials == nil {
		return nil
	}
	how := "as the file $CREDENTIALS_DIRECTORY/" + c.File
	switch {
	case c.Header != "":
		how = "as the header " + c.Header + " of each request to its url"
	case c.Env != "":
		how = "as the variable " + c.Env + ": a child is started anew before its credential ends"
	}
	g.log.Info().Str("server", e.Name).Str("credential", c.From).Str("how", how).
		Msg("each child gets its user's own credential")
	return g.credentials.Lender(credential.Want{
		Server: e.Name, From: c.From, File: c.File, Env: c.Env, Unlent: c.Missing == config.MissingStarts,
	})
}

// mayLend refuses the whole start where one user's credential could come to
// another: a fault of one entry is that entry's alone, but not this one.
func (f *flags) mayLend(s config.Server) error {
	switch {
	case s.Gate.Credentials == nil:
	case f.Identity != "signed":
		return fmt.Errorf("mcpServers.%s: gatehouse: credentials need --identity signed, here it is %s: "+
			"a credential is one user's, and nobody says who calls", s.Key, f.Identity)
	case f.isolation(s.Gate) == string(fleet.Shared):
		return fmt.Errorf("mcpServers.%s: gatehouse: credentials and isolation shared do not go together: "+
			"a child that users share would act as one of them; take session or user", s.Key)
	}
	return nil
}

// lentGrace is for each step of the end of a child that has a credential: with
// the 2 s in which authsvc is asked, it is dead 5 s after its login.
const lentGrace = time.Second

func (f *flags) childOptions(e config.Server) child.Options {
	o := child.Options{StdinGrace: f.StopTime, TermGrace: f.KillTime}
	if e.Gate.Credentials != nil {
		o.StdinGrace, o.TermGrace = min(o.StdinGrace, lentGrace), min(o.TermGrace, lentGrace)
	}
	return o
}
