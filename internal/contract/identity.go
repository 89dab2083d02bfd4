package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of what travels in headers. What authsvc answers must fit the one
// buffer that nginx has for it (16 KB): the assertion, and the same identity in
// plain headers. What does not fit is refused whole: an identity that was cut
// would pass a rule that denies by what was cut off.
const (
	MaxFieldBytes     = 256  // of an id, an email, a name or a sid
	MaxPlainBytes     = 6144 // of roles and scopes together, as headers carry them
	MaxAssertionBytes = 8192 // of the compact JWT
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
	SessionID string    // Keycloak's sid, that of a machine's key, or "" where a token has none (client credentials)
	Expires   time.Time // the end of the session or the token, whichever is first
}

// Validate reports the first field that cannot travel in a header or a child's
// environment. A role may hold any character (EncodeRoles); scopes are joined
// by spaces, so one with a space would grant something else on the other side.
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
	if slices.Contains(id.Roles, "") {
		return fmt.Errorf("%w: roles hold an empty one", ErrIdentity)
	}
	if err := checkScopes(id.Scopes); err != nil {
		return err
	}
	roles, scopes := len(EncodeRoles(id.Roles)), len(strings.Join(id.Scopes, " "))
	if roles+scopes > MaxPlainBytes {
		return fmt.Errorf("%w: %d roles and %d scopes take %d bytes, at most %d fit: "+
			"choose with --roles which of them travel", ErrIdentity, len(id.Roles), len(id.Scopes), roles+scopes, MaxPlainBytes)
	}
	return nil
}

// HasRole reports whether the caller has the role.
func (id Identity) HasRole(role string) bool { return slices.Contains(id.Roles, role) }

// HasScope reports whether the caller's token has the scope.
func (id Identity) HasScope(scope string) bool { return slices.Contains(id.Scopes, scope) }

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

func checkScopes(scopes []string) error {
	for _, scope := range scopes {
		if scope == "" || strings.Contains(scope, " ") {
			return fmt.Errorf("%w: scope holds %q, which is empty or has a space", ErrIdentity, scope)
		}
		if err := checkField("scope", scope); err != nil {
			return err
		}
	}
	return nil
}

// keySession begins the SessionID of a machine's key: no provider's does.
const keySession = "key#"

// KeySession is the SessionID of the key with a hash, of which it tells nothing of
// use: the hash alone opens nothing.
func KeySession(hash string) string { return keySession + hash[:min(len(hash), 16)] }

// IsKeySession reports whether a SessionID is that of a machine's key.
func IsKeySession(sid string) bool { return strings.HasPrefix(sid, keySession) }
