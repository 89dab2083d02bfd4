package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/jsonfile"
)

// entry is what we read of one; other clients keep more in it.
type entry struct {
	Type    string          `json:"type"`
	Command string          `json:"command"`
	Args    []text          `json:"args"`
	Dir     string          `json:"cwd"`
	Env     map[string]text `json:"env"`
	Inherit []string        `json:"inherit"`
	URL     string          `json:"url"`
	Headers map[string]text `json:"headers"`
	Gate    json.RawMessage `json:"gatehouse"`
}

// text is a string; people write numbers and true for one, too.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(raw []byte) error {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	switch value := value.(type) {
	case string:
		*t = text(value)
	case float64, bool:
		*t = text(raw)
	default:
		return errors.New("a value of args, env or headers must be a string")
	}
	return nil
}

// read makes a server of an entry, and names the keys in it that are not ours.
// off means that the entry's owner switched it off.
func read(raw json.RawMessage, lookup func(string) (string, bool)) (s Server, foreign []string, off bool, err error) {
	var keys members
	if err := json.Unmarshal(raw, &keys); err != nil {
		return s, nil, false, err
	}
	faults := keys.twice(ourKeys()...)
	for _, m := range keys {
		switch no, err := switchedOff(m); {
		case err != nil:
			faults = append(faults, err)
		case no:
			off = true
		}
		switch ours, err := classify(m.key); {
		case err != nil:
			faults = append(faults, err)
		case !ours:
			foreign = append(foreign, m.key)
		}
	}
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return s, foreign, off, errors.Join(append(faults, jsonfile.Explain(raw, err))...)
	}
	s, err = e.server(lookup)
	return s, foreign, off, errors.Join(append(faults, err)...)
}

// switchedOff is how several clients switch an entry off. What cannot be
// understood is a fault: to serve it may be what its owner did not want.
func switchedOff(m member) (bool, error) {
	disabled := strings.EqualFold(m.key, "disabled")
	if !disabled && !strings.EqualFold(m.key, "enabled") {
		return false, nil
	}
	switch string(m.value) {
	case "true":
		return disabled, nil
	case "false":
		return !disabled, nil
	}
	return false, fmt.Errorf("%s %.40s must be true or false", m.key, m.value)
}

func (e *entry) server(lookup func(string) (string, bool)) (Server, error) {
	f := filler{lookup: lookup}
	s := Server{
		Type: e.Type, Command: f.fill(e.Command), Dir: f.fill(e.Dir), URL: f.fill(e.URL),
		Env: f.fillMap(e.Env), Headers: f.fillMap(e.Headers), Inherit: e.Inherit,
	}
	for _, arg := range e.Args {
		s.Args = append(s.Args, f.fill(string(arg)))
	}
	gate, err := readGate(e.Gate)
	for _, list := range [][]string{gate.Sandbox.Read, gate.Sandbox.Write} {
		for i, path := range list {
			list[i] = f.fill(path)
		}
	}
	s.Gate = gate
	return s, errors.Join(append(f.faults, e.check(s), err)...)
}

// check is about s, which e became. A remote server has no process, so what is
// said about one would be lost.
func (e *entry) check(s Server) error {
	switch {
	case s.Command != "" && s.URL != "":
		return errors.New("command and url are both given; keep one")
	case s.URL != "":
		return e.checkRemote(s)
	case s.Command == "":
		return errors.New("command is empty; give the program, or url for a remote server")
	case e.Type != "" && e.Type != "stdio":
		return fmt.Errorf("type %q needs a url; a command is of type stdio", e.Type)
	case len(e.Headers) > 0:
		return errors.New("headers are for a url; a command gets env")
	}
	for name := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env: %q cannot be the name of a variable", name)
		}
	}
	for _, pattern := range s.Inherit {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("inherit: %q must be the name of a variable, or a pattern such as SSL_*", pattern)
		}
	}
	return s.Gate.Credentials.reach()
}

func (e *entry) checkRemote(s Server) error {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return errors.New("url must be http:// or https:// with a host") // it may hold a secret
	case e.Type == "stdio":
		return errors.New(`type "stdio" needs a command; a url is of type http or sse`)
	case len(e.Args) > 0 || len(e.Env) > 0 || e.Dir != "" || len(e.Inherit) > 0:
		return errors.New("args, env, cwd and inherit are for a command; a url gets headers")
	}
	return s.Gate.Credentials.reachRemote(s.Headers)
}

var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`) // RFC 6749, section 3.3

// readGate is strict: every key of the block is ours.
func readGate(raw json.RawMessage) (Gate, error) {
	if len(raw) == 0 {
		return Gate{}, nil
	}
	var block struct {
		Scopes    []string `json:"scopes"`
		Roles     []string `json:"roles"`
		Isolation string   `json:"isolation"`
		Identity  string   `json:"identity"`
		Warm      *int     `json:"warm"`
		CallTime  string   `json:"callTime"`
		Sleep     *string  `json:"sleep"`
		Sandbox   Sandbox  `json:"sandbox"`

		Credentials json.RawMessage `json:"credentials"`
	}
	if err := strictly(raw, &block, gateKeys()...); err != nil {
		return Gate{}, fmt.Errorf("gatehouse: %w", err)
	}
	g := Gate{
		Scopes: block.Scopes, Roles: block.Roles, Isolation: block.Isolation, Warm: block.Warm, Sandbox: block.Sandbox,
	}
	var faults []error
	if g.Identity = block.Identity; !slices.Contains([]string{"", "user", "none", "required"}, g.Identity) {
		faults = append(faults, fmt.Errorf("identity %q must be user, none or required", g.Identity))
	}
	if g.Isolation != "" && !slices.Contains([]string{"session", "user", "shared"}, g.Isolation) {
		faults = append(faults, fmt.Errorf("isolation %q must be session, user or shared", g.Isolation))
	}
	if g.Warm != nil && *g.Warm < 0 {
		faults = append(faults, fmt.Errorf("warm %d must be 0 or more", *g.Warm))
	}
	if block.CallTime != "" {
		d, err := time.ParseDuration(block.CallTime)
		if err != nil || d <= 0 {
			faults = append(faults, fmt.Errorf("callTime %q must be a time above 0, such as 90s or 5m", block.CallTime))
		}
		g.CallTime = d
	}
	if block.Sleep != nil {
		d, err := time.ParseDuration(*block.Sleep)
		if err != nil || d < 0 {
			faults = append(faults, fmt.Errorf("sleep %q must be a time, such as 5m, or 0s for never", *block.Sleep))
		}
		g.Sleep = &d
	}
	if len(block.Credentials) > 0 {
		c, err := readCredentials(block.Credentials)
		if err != nil {
			faults = append(faults, fmt.Errorf("credentials: %w", err))
		}
		g.Credentials = c
	}
	for _, scope := range g.Scopes {
		if !scopeForm.MatchString(scope) {
			faults = append(faults, fmt.Errorf("scopes: %q is no scope; list each by itself", scope))
		}
	}
	if slices.Contains(g.Roles, "") {
		faults = append(faults, errors.New("roles: a role is empty"))
	}
	if err := errors.Join(faults...); err != nil {
		return Gate{}, fmt.Errorf("gatehouse: %w", err)
	}
	return g, nil
}

// strictly decodes an object that may have only these keys, spelt like this.
func strictly(raw json.RawMessage, into any, keys ...string) error {
	var all members
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for _, m := range all {
		if !slices.Contains(keys, m.key) {
			return fmt.Errorf("unknown key %q; the keys are %s", m.key, strings.Join(keys, ", "))
		}
	}
	return jsonfile.Decode(raw, into)
}
