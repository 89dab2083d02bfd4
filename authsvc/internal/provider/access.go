package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/authsvc/internal/claims"
	"gatehouse/internal/contract"
)

// MaxTokenBytes bounds what a client sends before it is parsed. What the
// provider itself hands out only has to fit its answer.
const MaxTokenBytes = 16 << 10

// ErrToken says that a token will never be good here. It does not cover keys
// out of reach (ErrKeys): then nobody can tell.
var ErrToken = errors.New("token")

// Access is a verified access token.
type Access struct {
	Identity   contract.Identity
	Audience   []string  // what it was made for; whether that is here, its reader must ask
	Party      string    // the client that it was issued to
	IssuedAt   time.Time // at the earliest, by this clock; zero where the token does not say
	Thumbprint string    // cnf.jkt: of the key that a DPoP proof must be made with, or ""
}

// registered are the claims that have one meaning at every issuer (RFC 7519,
// 4.1); all others are the mapping's.
type registered struct {
	Issuer    string           `json:"iss"`
	Audience  jwt.Audience     `json:"aud"`
	Expires   *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	ID        string           `json:"jti"`
	Confirm   map[string]any   `json:"cnf"`
	Type      string           `json:"typ"`
}

// VerifyAccess checks an access token that a client sent: signature, type,
// issuer and times (RFC 9068, 4). Whether it was made for this resource is not
// known here.
func (p *Provider) VerifyAccess(ctx context.Context, token string) (Access, error) {
	if len(token) > MaxTokenBytes {
		return Access{}, fmt.Errorf("%w: more than %d bytes", ErrToken, MaxTokenBytes)
	}
	a, err := p.access(ctx, token)
	if err != nil {
		return Access{}, err
	}
	a.Identity.Expires = a.Identity.Expires.Add(p.cfg.Leeway) // as the issuer's clock may be behind
	return a, nil
}

// access reads a token that came from a client, or straight from the token
// endpoint, where it is for this client and need not name a resource.
func (p *Provider) access(ctx context.Context, token string) (Access, error) {
	raw, err := p.payload(ctx, token)
	if err != nil {
		return Access{}, err
	}
	var c registered
	if err := json.Unmarshal(raw, &c); err != nil {
		return Access{}, fmt.Errorf("%w: its payload is not the claims of a token", ErrToken)
	}
	all, err := claims.Parse(raw)
	if err != nil {
		return Access{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err := p.checkAccess(tokenType(token), &c, all); err != nil {
		return Access{}, err
	}
	who, err := p.person(ctx, all)
	if err != nil {
		return Access{}, err
	}
	thumbprint, _ := c.Confirm["jkt"].(string)
	a := Access{Audience: c.Audience, Party: who.Party, Thumbprint: thumbprint, Identity: identity(who, c.Expires.Time())}
	if c.IssuedAt != nil {
		a.IssuedAt = p.issued(c.IssuedAt.Time())
	}
	return a, p.fits(a.Identity)
}

// person reads the claims by this provider's mapping, and asks for what they
// leave out.
func (p *Provider) person(ctx context.Context, all claims.Payload) (claims.Person, error) {
	who, err := p.cfg.Mapping.Person(all)
	if err != nil {
		return who, fmt.Errorf("%w: %w", contract.ErrIdentity, err)
	}
	if who.Overage {
		return p.overage(ctx, who)
	}
	return who, nil
}

func identity(who claims.Person, expires time.Time) contract.Identity {
	return contract.Identity{
		Subject: who.Subject, Email: who.Email, Name: who.Name, Roles: who.Roles, Scopes: who.Scopes,
		SessionID: who.Session, Expires: expires,
	}
}

// fits tells a token that is wrong from an identity that cannot travel.
func (p *Provider) fits(id contract.Identity) error {
	if id.Subject == "" {
		return fmt.Errorf("%w: it names no subject", ErrToken)
	}
	return id.Fits()
}

// payload verifies the signature and returns what was signed.
func (p *Provider) payload(ctx context.Context, token string) ([]byte, error) {
	raw, err := p.keys.VerifySignature(ctx, token)
	if errors.Is(err, ErrSignature) {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return raw, err
}

func (p *Provider) checkAccess(header string, c *registered, all claims.Payload) error {
	now := p.cfg.Now()
	switch {
	case c.Issuer != p.cfg.Issuer:
		return fmt.Errorf("%w: another issuer", ErrToken)
	case c.Expires == nil || p.expired(c.Expires.Time()):
		return fmt.Errorf("%w: expired", ErrToken)
	case c.NotBefore != nil && now.Add(p.cfg.Leeway).Before(c.NotBefore.Time()):
		return fmt.Errorf("%w: not valid yet", ErrToken)
	case c.IssuedAt != nil && now.Add(p.cfg.Leeway).Before(c.IssuedAt.Time()):
		return fmt.Errorf("%w: issued in the future", ErrToken)
	case !p.cfg.Mapping.IsAccess(header, all):
		return fmt.Errorf("%w: its type is not that of an access token", ErrToken)
	case !provable(c):
		return fmt.Errorf("%w: it is bound to what nobody can prove here", ErrToken)
	}
	return nil
}

// provable tells whether a token is bound to nothing, or to a key that a DPoP
// proof can show. One that is bound to a certificate (RFC 8705) must not pass
// for a bearer token. Keycloak adds a member of its own, and members that
// nobody knows are left aside (RFC 7800, 3.1).
func provable(c *registered) bool {
	thumbprint, _ := c.Confirm["jkt"].(string)
	if thumbprint == "" {
		return c.Confirm == nil && c.Type != "DPoP"
	}
	return c.Confirm["x5t#S256"] == nil
}

// tokenType reads typ from the header of a token that has been verified.
func tokenType(token string) string {
	jws, err := jose.ParseSignedCompact(token, Algorithms())
	if err != nil {
		return "unreadable"
	}
	typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	return typ
}
