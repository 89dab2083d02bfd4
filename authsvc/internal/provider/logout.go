package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	logoutEvent  = "http://schemas.openid.net/event/backchannel-logout"
	logoutMaxAge = 2 * time.Minute // RFC 8417 tokens without exp; Keycloak sets one
)

// Logout is a verified logout token: what has ended, and the token's own id.
type Logout struct {
	SID, Subject, ID string
	Expires          time.Time // when a replay would be refused by age anyway
}

type logoutClaims struct {
	registered
	Subject string         `json:"sub"`
	SID     string         `json:"sid"`
	Events  map[string]any `json:"events"`
	Nonce   *string        `json:"nonce"`
}

// VerifyLogout checks a logout token (OpenID Connect Back-Channel Logout 1.0,
// 2.6). Whether its id was seen before is the caller's to know.
func (p *Provider) VerifyLogout(ctx context.Context, token string) (Logout, error) {
	if len(token) > MaxTokenBytes {
		return Logout{}, fmt.Errorf("%w: more than %d bytes", ErrToken, MaxTokenBytes)
	}
	raw, err := p.payload(ctx, token)
	if err != nil {
		return Logout{}, err
	}
	var c logoutClaims
	if err := json.Unmarshal(raw, &c); err != nil {
		return Logout{}, fmt.Errorf("%w: its payload is not the claims of a token", ErrToken)
	}
	_, isLogout := c.Events[logoutEvent].(map[string]any)
	forUs := slices.ContainsFunc(c.Audience, func(aud string) bool {
		return aud == p.cfg.ClientID || slices.Contains(p.cfg.LogoutClients, aud)
	})
	now := p.cfg.Now()
	switch {
	case c.Issuer != p.cfg.Issuer:
		return Logout{}, fmt.Errorf("%w: another issuer", ErrToken)
	case !forUs:
		return Logout{}, fmt.Errorf("%w: for another client", ErrToken)
	case !isLogout:
		return Logout{}, fmt.Errorf("%w: no logout event", ErrToken)
	case c.Nonce != nil:
		return Logout{}, fmt.Errorf("%w: a logout token has no nonce", ErrToken)
	case !logoutType(tokenType(token), c.Type):
		return Logout{}, fmt.Errorf("%w: its type is not that of a logout token", ErrToken)
	case c.SID == "" && c.Subject == "":
		return Logout{}, fmt.Errorf("%w: neither sid nor sub", ErrToken)
	case c.ID == "" || c.IssuedAt == nil:
		return Logout{}, fmt.Errorf("%w: jti or iat is missing", ErrToken)
	case c.IssuedAt.Time().After(now.Add(p.cfg.Leeway)):
		return Logout{}, fmt.Errorf("%w: issued in the future", ErrToken)
	case c.Expires != nil && p.expired(c.Expires.Time()), p.expired(c.IssuedAt.Time().Add(logoutMaxAge)):
		return Logout{}, fmt.Errorf("%w: expired", ErrToken)
	}
	forgotten := c.IssuedAt.Time().Add(logoutMaxAge + p.cfg.Leeway)
	return Logout{SID: c.SID, Subject: c.Subject, ID: c.ID, Expires: forgotten}, nil
}

// logoutType accepts the registered type and Keycloak's plain JWT.
func logoutType(header, payload string) bool {
	switch strings.TrimPrefix(strings.ToLower(header), "application/") {
	case "logout+jwt":
		return payload == "" || payload == "Logout"
	case "jwt", "":
		return payload == "Logout"
	}
	return false
}
