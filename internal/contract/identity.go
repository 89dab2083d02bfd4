package contract

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of what travels in a header. An assertion must fit the header
// buffers of nginx (8 KB) beside everything else.
const (
	MaxFieldBytes     = 256  // of an id, an email, a name, a role, a scope or a sid
	MaxListLen        = 64   // roles, or scopes
	MaxAssertionBytes = 6144 // of the compact JWT
)

// ErrIdentity says that an identity cannot travel: a field is empty, too long
// or holds a byte that has no place in a header.
var ErrIdentity = errors.New("identity")

// Identity is a caller whom authsvc knows.
type Identity struct {
	Subject   string    // Keycloak's sub, never empty
	Email     string    // may be empty: machines have none
	Name      string    // for people to read, may hold any script
	Roles     []string  // realm roles and the client's roles
	Scopes    []string  // of the access token
	SessionID string    // Keycloak's sid, or "" where a token has none (client credentials)
	Expires   time.Time // the end of the session or the token, whichever is first
}

// Validate reports the first field that cannot travel in a header or a child's
// environment. Roles and scopes are lists joined by a comma or a space, so an
// item with either would grant something else on the other side.
func (id Identity) Validate() error {
	if id.Subject == "" {
		return fmt.Errorf("%w: sub is empty", ErrIdentity)
	}
	single := []struct{ name, value string }{
		{"sub", id.Subject}, {"email", id.Email}, {"name", id.Name}, {"sid", id.SessionID},
	}
	for _, f := range single {
		if err := checkField(f.name, f.value); err != nil {
			return err
		}
	}
	if err := checkList("roles", id.Roles); err != nil {
		return err
	}
	return checkList("scope", id.Scopes)
}

// HasRole reports whether the caller has the role.
func (id Identity) HasRole(role string) bool { return contains(id.Roles, role) }

// HasScope reports whether the caller's token has the scope.
func (id Identity) HasScope(scope string) bool { return contains(id.Scopes, scope) }

func contains(list []string, want string) bool {
	for _, have := range list {
		if have == want {
			return true
		}
	}
	return false
}

func checkField(name, value string) error {
	if len(value) > MaxFieldBytes {
		return fmt.Errorf("%w: %s has %d bytes, at most %d fit", ErrIdentity, name, len(value), MaxFieldBytes)
	}
	for i := 0; i < len(value); i++ {
		if value[i] < 0x20 || value[i] == 0x7f {
			return fmt.Errorf("%w: %s holds the control byte 0x%02x", ErrIdentity, name, value[i])
		}
	}
	return nil
}

func checkList(name string, items []string) error {
	if len(items) > MaxListLen {
		return fmt.Errorf("%w: %s has %d items, at most %d fit", ErrIdentity, name, len(items), MaxListLen)
	}
	for _, item := range items {
		if item == "" || strings.ContainsAny(item, ", ") {
			return fmt.Errorf("%w: %s holds %q, which is empty or has a separator", ErrIdentity, name, item)
		}
		if err := checkField(name, item); err != nil {
			return err
		}
	}
	return nil
}
