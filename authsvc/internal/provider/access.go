package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/internal/contract"
)

// MaxTokenBytes bounds a token before it is parsed.
const MaxTokenBytes = 16 << 10

// ErrToken says that a token will never be good here. It does not cover keys
// out of reach (ErrKeys): then nobody can tell.
var ErrToken = errors.New("token")

// Access is a verified access token.
type Access struct {
	Identity   contract.Identity
	Party      string    // azp: the client it was issued to
	IssuedAt   time.Time // zero where the token does not say
	Thumbprint string    // cnf.jkt: of the key that a DPoP proof must be made with, or ""
}

type accessClaims struct {
	Issuer    string              `json:"iss"`
	Subject   string              `json:"sub"`
	Audience  jwt.Audience        `json:"aud"`
	Expires   *jwt.NumericDate    `json:"exp"`
	NotBefore *jwt.NumericDate    `json:"nbf"`
	IssuedAt  *jwt.NumericDate    `json:"iat"`
	Type      string              `json:"typ"`
	Party     string              `json:"azp"`
	ClientID  string              `json:"client_id"`
	SID       string              `json:"sid"`
	Scope     string              `json:"scope"`
	Email     string              `json:"email"`
	Name      string              `json:"name"`
	Username  string              `json:"preferred_username"`
	Realm     roleList            `json:"realm_access"`
	Resources map[string]roleList `json:"resource_access"`
	Confirm   map[string]any      `json:"cnf"`
	Events    map[string]any      `json:"events"`
	Nonce     *string             `json:"nonce"`
	ID        string              `json:"jti"`
}

type roleList struct {
	Roles []string `json:"roles"`
}

// VerifyAccess checks an access token that a client sent: signature, type,
// issuer, times and that it was made for this resource (RFC 9068, 4; RFC 8707).
func (p *Provider) VerifyAccess(ctx context.Context, token string) (Access, error) {
	a, c, err := p.access(ctx, token)
	if err != nil {
		return Access{}, err
	}
	if !slices.Contains(c.Audience, p.cfg.Audience) {
		return Access{}, fmt.Errorf("%w: its audience is not this resource", ErrToken)
	}
	a.Identity.Expires = a.Identity.Expires.Add(p.cfg.Leeway) // as the issuer's clock may be behind
	return a, nil
}

// verifyAccess is for a token that came straight from the token endpoint: it
// is for this client, and need not name the resource.
func (p *Provider) verifyAccess(ctx context.Context, token string) (Access, error) {
	a, _, err := p.access(ctx, token)
	return a, err
}

func (p *Provider) access(ctx context.Context, token string) (Access, accessClaims, error) {
	var c accessClaims
	if err := p.claims(ctx, token, &c); err != nil {
		return Access{}, c, err
	}
	if err := p.checkAccess(token, &c); err != nil {
		return Access{}, c, err
	}
	thumbprint, _ := c.Confirm["jkt"].(string)
	a := Access{Party: first(c.Party, c.ClientID), Thumbprint: thumbprint, Identity: contract.Identity{
		Subject: c.Subject, Email: c.Email, Name: first(c.Name, c.Username),
		Roles: p.roles(&c), Scopes: limit(strings.Fields(c.Scope)), SessionID: c.SID, Expires: c.Expires.Time(),
	}}
	if c.IssuedAt != nil {
		a.IssuedAt = c.IssuedAt.Time()
	}
	if err := a.Identity.Validate(); err != nil {
		return Access{}, c, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return a, c, nil
}

// claims verifies the signature and reads the payload.
func (p *Provider) claims(ctx context.Context, token string, c any) error {
	if len(token) > MaxTokenBytes {
		return fmt.Errorf("%w: more than %d bytes", ErrToken, MaxTokenBytes)
	}
	payload, err := p.keys.VerifySignature(ctx, token)
	if errors.Is(err, ErrSignature) {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(payload, c); err != nil {
		return fmt.Errorf("%w: its payload is not the claims of a token", ErrToken)
	}
	return nil
}

func (p *Provider) checkAccess(token string, c *accessClaims) error {
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
	case c.Events != nil || c.Nonce != nil:
		return fmt.Errorf("%w: not an access token", ErrToken)
	case !accessType(tokenType(token), c.Type):
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
func provable(c *accessClaims) bool {
	thumbprint, _ := c.Confirm["jkt"].(string)
	if thumbprint == "" {
		return c.Confirm == nil && c.Type != "DPoP"
	}
	return c.Confirm["x5t#S256"] == nil
}

// accessType accepts the header type of RFC 9068, and Keycloak's own way: a
// plain JWT whose payload says Bearer (or DPoP, where it is bound to a key).
// So an ID, refresh, offline or logout token is none.
func accessType(header, payload string) bool {
	switch strings.TrimPrefix(strings.ToLower(header), "application/") {
	case "at+jwt":
		return payload == "" || payload == "Bearer" || payload == "DPoP"
	case "jwt", "":
		return payload == "Bearer" || payload == "DPoP"
	}
	return false
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

// roles joins the realm's roles and this client's. A role whose name could not
// travel in a list is left out: it grants nothing.
func (p *Provider) roles(c *accessClaims) []string {
	all := slices.Concat(c.Realm.Roles, c.Resources[p.cfg.ClientID].Roles)
	slices.Sort(all)
	return limit(slices.Compact(all))
}

func limit(items []string) []string {
	fit := make([]string, 0, len(items))
	for _, item := range items {
		one := contract.Identity{Subject: "-", Roles: []string{item}}
		if one.Validate() == nil && len(fit) < contract.MaxListLen {
			fit = append(fit, item)
		}
	}
	return fit
}
