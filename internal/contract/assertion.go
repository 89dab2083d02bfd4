package contract

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The parties of an assertion, and the one algorithm that it may use.
const (
	AssertionIssuer   = "authsvc"
	AssertionAudience = "bridge"
	AssertionReuse    = 60 * time.Second // authsvc hands out one assertion for a session for so long
	assertionAlg      = jose.EdDSA
	assertionType     = "gatehouse-assertion+jwt"
)

// Errors of VerifyAssertion. ErrAssertionExpired does not mean that the
// session has ended, only that this assertion is too old to believe;
// ErrUnknownKey means that a newer key set may still verify it.
var (
	ErrAssertion        = errors.New("assertion")
	ErrAssertionExpired = fmt.Errorf("%w expired", ErrAssertion)
	ErrUnknownKey       = fmt.Errorf("%w signed by an unknown key", ErrAssertion)
)

// assertionClaims is the payload of the JWT. The time in exp bounds this
// assertion; session_exp is the end of the right to an open stream.
type assertionClaims struct {
	Issuer     string           `json:"iss"`
	Audience   string           `json:"aud"`
	Subject    string           `json:"sub"`
	Email      string           `json:"email,omitempty"`
	Name       string           `json:"name,omitempty"`
	Roles      []string         `json:"roles,omitempty"`
	Scope      string           `json:"scope,omitempty"`
	SessionID  string           `json:"sid,omitempty"`
	Expires    *jwt.NumericDate `json:"exp"`
	IssuedAt   *jwt.NumericDate `json:"iat"`
	SessionExp *jwt.NumericDate `json:"session_exp"`
}

// Signer makes assertions with one private key. It is safe for concurrent use.
type Signer struct {
	signer jose.Signer
}

// NewSigner takes an Ed25519 private key with a key id.
func NewSigner(key jose.JSONWebKey) (*Signer, error) {
	if key.KeyID == "" {
		return nil, errors.New("signing key has no kid")
	}
	opts := (&jose.SignerOptions{}).WithType(assertionType)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: assertionAlg, Key: key}, opts)
	if err != nil {
		return nil, fmt.Errorf("assertion signer: %w", err)
	}
	return &Signer{signer: signer}, nil
}

// Sign makes an assertion that lives for life, and never past the identity's
// own end. It returns the compact JWT and the time at which it expires.
func (s *Signer) Sign(id Identity, now time.Time, life time.Duration) (string, time.Time, error) {
	if err := id.Validate(); err != nil {
		return "", time.Time{}, err
	}
	expires := now.Add(life)
	if id.Expires.Before(expires) {
		expires = id.Expires
	}
	if !expires.After(now) {
		return "", time.Time{}, ErrAssertionExpired
	}
	token, err := jwt.Signed(s.signer).Claims(claimsOf(id, now, expires)).Serialize()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign assertion: %w", err)
	}
	if len(token) > MaxAssertionBytes {
		return "", time.Time{}, tooLong(id, len(token))
	}
	return token, expires, nil
}

func claimsOf(id Identity, now, expires time.Time) assertionClaims {
	return assertionClaims{
		Issuer: AssertionIssuer, Audience: AssertionAudience,
		Subject: id.Subject, Email: id.Email, Name: id.Name,
		Roles: id.Roles, Scope: strings.Join(id.Scopes, " "), SessionID: id.SessionID,
		Expires: jwt.NewNumericDate(expires), IssuedAt: jwt.NewNumericDate(now),
		SessionExp: jwt.NewNumericDate(id.Expires),
	}
}

// Fits reports whether an assertion can carry the identity, for who must know
// before one is made: a person signing in.
func (id Identity) Fits() error {
	if err := id.Validate(); err != nil {
		return err
	}
	const around = 256 // header, signature and dots
	payload, err := json.Marshal(claimsOf(id, id.Expires, id.Expires))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	if n := around + base64.RawURLEncoding.EncodedLen(len(payload)); n > MaxAssertionBytes {
		return tooLong(id, n)
	}
	return nil
}

func tooLong(id Identity, n int) error {
	return fmt.Errorf("%w: an assertion with %d roles and %d scopes has %d bytes, at most %d fit: "+
		"choose with --roles which of them travel", ErrIdentity, len(id.Roles), len(id.Scopes), n, MaxAssertionBytes)
}

// VerifyAssertion checks signature, type, parties and times against the key
// set, and returns the identity and the time until which the assertion may be
// remembered. now is the verifier's clock; leeway covers the two clocks.
func VerifyAssertion(
	token string, keys jose.JSONWebKeySet, now time.Time, leeway time.Duration,
) (Identity, time.Time, error) {
	if len(token) > MaxAssertionBytes {
		return Identity{}, time.Time{}, fmt.Errorf("%w: too long", ErrAssertion)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{assertionAlg})
	if err != nil {
		return Identity{}, time.Time{}, fmt.Errorf("%w: not a signed JWT", ErrAssertion)
	}
	if len(parsed.Headers) != 1 || parsed.Headers[0].ExtraHeaders[jose.HeaderType] != assertionType {
		return Identity{}, time.Time{}, fmt.Errorf("%w: wrong type", ErrAssertion)
	}
	found := keys.Key(parsed.Headers[0].KeyID)
	if len(found) != 1 || !found[0].Valid() || !found[0].IsPublic() {
		return Identity{}, time.Time{}, ErrUnknownKey
	}
	var c assertionClaims
	if err := parsed.Claims(found[0], &c); err != nil {
		return Identity{}, time.Time{}, fmt.Errorf("%w: wrong signature", ErrAssertion)
	}
	return c.identity(now, leeway)
}

func (c assertionClaims) identity(now time.Time, leeway time.Duration) (Identity, time.Time, error) {
	if c.Issuer != AssertionIssuer || c.Audience != AssertionAudience {
		return Identity{}, time.Time{}, fmt.Errorf("%w: wrong iss or aud", ErrAssertion)
	}
	if c.Expires == nil || c.IssuedAt == nil || c.SessionExp == nil {
		return Identity{}, time.Time{}, fmt.Errorf("%w: exp, iat or session_exp is missing", ErrAssertion)
	}
	expires := c.Expires.Time()
	if !now.Before(expires.Add(leeway)) {
		return Identity{}, time.Time{}, ErrAssertionExpired
	}
	if c.IssuedAt.Time().After(now.Add(leeway)) {
		return Identity{}, time.Time{}, fmt.Errorf("%w: iat lies ahead", ErrAssertion)
	}
	id := Identity{
		Subject: c.Subject, Email: c.Email, Name: c.Name, Roles: c.Roles,
		Scopes: strings.Fields(c.Scope), SessionID: c.SessionID, Expires: c.SessionExp.Time(),
	}
	if err := id.Validate(); err != nil {
		return Identity{}, time.Time{}, fmt.Errorf("%w: %w", ErrAssertion, err)
	}
	return id, expires, nil
}
