package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// PathCredentials is on authsvc's internal listener.
const PathCredentials = "/internal/credentials" // POST: CredentialRequest -> CredentialAnswer

// Bounds of one question about a credential. A secret also has to fit a
// variable of a child's environment.
const (
	MaxCredentialBytes = 64 << 10 // of a message
	MaxSecretBytes     = 16 << 10
)

// ErrCredential says that a message about a credential cannot be used.
var ErrCredential = errors.New("credential message")

// credentialName is also a segment of a path and a part of a file's name.
var credentialName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// IsCredentialName reports whether a text can name a credential.
func IsCredentialName(name string) bool { return credentialName.MatchString(name) }

// CredentialRequest asks for the credential of this name that the caller of
// the assertion has. One that was believed once may be shown again until its
// session_exp: a credential is renewed while its user's streams are open.
type CredentialRequest struct {
	Assertion string `json:"assertion"`
	Name      string `json:"name"`
	Server    string `json:"server,omitempty"` // who is to have it, for the audit
	Have      string `json:"have,omitempty"`   // CredentialMark of what was given before
}

// CredentialAnswer is the secret, or what is missing.
type CredentialAnswer struct {
	Secret  string             `json:"secret,omitempty"`
	Expires *time.Time         `json:"expires,omitempty"` // nil where it has no end that is known
	Watch   bool               `json:"watch,omitempty"`   // its user may replace it or take it away before that
	Missing *MissingCredential `json:"missing,omitempty"`
}

// String keeps a secret that is printed by mistake out of the logs.
func (a CredentialAnswer) String() string { return "[credential]" }

// GoString is String for %#v.
func (a CredentialAnswer) GoString() string { return a.String() }

// MissingCredential tells a user what is missing and where to give it.
type MissingCredential struct {
	Label   string `json:"label"`
	Connect string `json:"connect"` // an address on the gate's public origin
	Why     string `json:"why,omitempty"`
}

// ReadCredentialRequest reads one request of bounded size.
func ReadCredentialRequest(r io.Reader) (CredentialRequest, error) {
	var m CredentialRequest
	if err := readCredential(r, &m); err != nil {
		return m, err
	}
	if !IsCredentialName(m.Name) {
		return m, fmt.Errorf("%w: name %.64q is no name of a credential", ErrCredential, m.Name)
	}
	if err := checkField("server", m.Server); err != nil {
		return m, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	return m, nil
}

// ReadCredentialAnswer reads one answer of bounded size.
func ReadCredentialAnswer(r io.Reader) (CredentialAnswer, error) {
	var m CredentialAnswer
	if err := readCredential(r, &m); err != nil {
		return CredentialAnswer{}, err
	}
	if (m.Secret == "") == (m.Missing == nil) {
		return CredentialAnswer{}, fmt.Errorf("%w: want secret or missing", ErrCredential)
	}
	if m.Missing == nil {
		return m, CheckSecret(m.Secret)
	}
	return m, nil
}

// CheckSecret reports why a text cannot travel as a secret: it must fit one
// line of a file and one variable of an environment.
func CheckSecret(secret string) error {
	if secret == "" || len(secret) > MaxSecretBytes {
		return fmt.Errorf("%w: a secret of %d bytes, want 1 to %d", ErrCredential, len(secret), MaxSecretBytes)
	}
	for i := 0; i < len(secret); i++ {
		if secret[i] < 0x20 || secret[i] == 0x7f {
			return fmt.Errorf("%w: the secret holds a control byte", ErrCredential)
		}
	}
	return nil
}

// CredentialMark tells two secrets apart, and nothing of them.
func CredentialMark(secret string) string {
	sum := sha256.Sum256([]byte("gatehouse credential\x00" + secret))
	return hex.EncodeToString(sum[:16])
}

func readCredential(r io.Reader, m any) error {
	dec := json.NewDecoder(io.LimitReader(r, MaxCredentialBytes))
	if err := dec.Decode(m); err != nil {
		return fmt.Errorf("%w: it is no JSON object of this kind", ErrCredential) // the decoder may quote a secret
	}
	return nil
}
