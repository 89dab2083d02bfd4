// Package claims knows what the tokens of each provider mean: where they keep
// who somebody is, the roles and the scopes, and how an access token is told
// from every other token of its issuer.
//
// It promises that nothing is cut or dropped on the way: a claim that is not of
// the form that its mapping says is an error. The package is pure tables over
// what others have verified; it must never know a key, a clock or a network.
package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrClaims says that a token does not have the form that its mapping names.
var ErrClaims = errors.New("claims")

// Mapping says where the tokens of one provider keep what is needed. A claim
// is named by its own name, or by a path with dots; {client} in a path stands
// for this client's id.
type Mapping struct {
	Client   string   // the client's id, for paths that name it
	Subject  []string // the first that holds something, as for each of the next four
	Email    []string
	Name     []string
	Session  []string
	Party    []string // the client that a token was issued to
	Roles    []string // all of them, joined
	Scopes   []string // all of them, joined
	Verified string   // tells whether the e-mail is the person's
	Trusted  bool     // the e-mail counts without Verified
	Type     Type     // of access tokens

	Grants map[string][]string // roles that follow from a role or a group
	Keep   []string            // globs of the roles that travel; none for all
}

// Person is who a token speaks of.
type Person struct {
	Subject, Email, Name, Session, Party string
	Roles, Scopes                        []string
	Overage                              bool // the groups are too many for the token, which only says where to ask
}

// Payload is the verified payload of a token.
type Payload map[string]any

// Parse reads a payload.
func Parse(raw []byte) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(raw, &p); err != nil || p == nil {
		return nil, fmt.Errorf("%w: the payload is not a JSON object", ErrClaims)
	}
	return p, nil
}

// Person reads who the payload speaks of.
func (m *Mapping) Person(p Payload) (Person, error) {
	r := reader{mapping: m, payload: p}
	person := Person{
		Subject: r.first(m.Subject), Name: r.first(m.Name), Session: r.first(m.Session), Party: r.first(m.Party),
		Scopes: r.scopes(), Overage: overage(p, m.Roles),
	}
	if m.Trusted || r.verified() {
		person.Email = r.first(m.Email)
	}
	person.Roles = r.roles()
	return person, r.err
}

// With adds roles that stand in no token, such as groups that were asked for.
func (m *Mapping) With(person Person, roles []string) Person {
	person.Roles, person.Overage = m.settle(append(slices.Clone(person.Roles), roles...)), false
	return person
}

// settle adds what follows from the roles and keeps what is to travel.
func (m *Mapping) settle(roles []string) []string {
	for _, role := range slices.Clone(roles) {
		roles = append(roles, m.Grants[role]...)
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(m.Keep) == 0 {
		return roles
	}
	return slices.DeleteFunc(roles, func(role string) bool {
		return !slices.ContainsFunc(m.Keep, func(glob string) bool { return Match(glob, role) })
	})
}

// reader looks claims up and keeps the first fault.
type reader struct {
	mapping *Mapping
	payload Payload
	err     error
}

func (r *reader) fail(path, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s is not %s", ErrClaims, path, want)
	}
}

// look finds a claim by its own name, which may hold dots (the namespaced
// claims of Auth0 are URLs), else by the path.
func (r *reader) look(path string) any {
	if v, ok := r.payload[path]; ok {
		return v
	}
	var at any = map[string]any(r.payload)
	for _, name := range strings.Split(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		if name == "{client}" {
			name = r.mapping.Client
		}
		at = object[name]
	}
	return at
}

func (r *reader) first(paths []string) string {
	for _, path := range paths {
		switch v := r.look(path).(type) {
		case nil:
		case string:
			if v != "" {
				return v
			}
		default:
			r.fail(path, "a string")
		}
	}
	return ""
}

// list is a claim's strings: a list of them, or one alone.
func (r *reader) list(path string) []string {
	switch v := r.look(path).(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
		return []string{v}
	case []any:
		items := make([]string, 0, len(v))
		for _, one := range v {
			item, ok := one.(string)
			if !ok || item == "" {
				r.fail(path, "a list of names")
				return nil
			}
			items = append(items, item)
		}
		return items
	}
	r.fail(path, "a list of names")
	return nil
}

func (r *reader) roles() (all []string) {
	for _, path := range r.mapping.Roles {
		all = append(all, r.list(path)...)
	}
	return r.mapping.settle(all)
}

// scopes are separated by spaces (RFC 6749, 3.3), or a list at some providers.
func (r *reader) scopes() (all []string) {
	for _, path := range r.mapping.Scopes {
		for _, text := range r.list(path) {
			all = append(all, strings.Fields(text)...)
		}
	}
	return all
}

// verified takes an absent claim for no. Some providers write the boolean as
// text.
func (r *reader) verified() bool {
	switch v := r.look(r.mapping.Verified).(type) {
	case bool:
		return v
	case string:
		return v == "true" || v == "1"
	}
	return false
}

// overage reports whether a list of roles stands outside the token (OpenID
// Connect Core, 5.6.2: distributed claims).
func overage(p Payload, roles []string) bool {
	elsewhere, _ := p["_claim_names"].(map[string]any)
	return slices.ContainsFunc(roles, func(path string) bool { return elsewhere[path] != nil })
}

// Match reports whether a glob matches a whole name: * is any text, all else
// is itself.
func Match(glob, name string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == name
	}
	name, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, last)
}
