package provider

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/authsvc/internal/claims"
	"gatehouse/internal/contract"
)

// Source is what a sign-in takes the identity from.
type Source string

// The sources. Where the access token is not one for this gate, or no JWT at
// all, the ID token says who signed in, and userinfo can say more.
const (
	FromAccess   Source = "access-token" // roles and scopes; what lacks is taken from the ID token
	FromIDToken  Source = "id-token"
	FromUserinfo Source = "userinfo" // the ID token's claims, with those of userinfo over them
)

// Sources lists them.
func Sources() []string {
	return []string{string(FromAccess), string(FromIDToken), string(FromUserinfo)}
}

// grant verifies the tokens of an answer. nonce is "" at a refresh, where the
// ID token is optional (OpenID Connect Core, 12.2): its claims may then be
// asked of userinfo, or are those of the access token.
func (p *Provider) grant(ctx context.Context, tok *oauth2.Token, nonce string) (Grant, error) {
	raw, _ := tok.Extra("id_token").(string)
	if raw == "" && nonce != "" {
		return Grant{}, fmt.Errorf("%w: the answer holds no id_token", ErrToken)
	}
	var id claims.Payload
	if raw != "" {
		var err error
		if id, err = p.idToken(ctx, raw, tok.AccessToken, nonce); err != nil {
			return Grant{}, err
		}
	}
	who, end, err := p.signedIn(ctx, tok, id)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Identity: identity(who, end), RefreshToken: tok.RefreshToken, IDToken: raw, AccessToken: tok.AccessToken}
	g.ACR, _ = id["acr"].(string)
	return g, p.fits(g.Identity)
}

// signedIn is who the answer speaks of, and how long that counts.
func (p *Provider) signedIn(
	ctx context.Context, tok *oauth2.Token, id claims.Payload,
) (claims.Person, time.Time, error) {
	if p.cfg.Source == FromAccess {
		return p.byAccess(ctx, tok, id)
	}
	all := claims.Payload{}
	if p.cfg.Source == FromUserinfo || id == nil {
		info, err := p.userinfo(ctx, tok.AccessToken)
		if err != nil {
			return claims.Person{}, time.Time{}, err
		}
		if id != nil && info["sub"] != id["sub"] { // OpenID Connect Core, 5.3.2
			return claims.Person{}, time.Time{}, fmt.Errorf("%w: userinfo and id_token are of two subjects", ErrToken)
		}
		all = info
	}
	for name, value := range id {
		if _, have := all[name]; !have {
			all[name] = value
		}
	}
	who, err := p.person(ctx, all)
	if granted, ok := tok.Extra("scope").(string); ok && len(who.Scopes) == 0 {
		who.Scopes = strings.Fields(granted)
	}
	end := tok.Expiry
	if end.IsZero() { // expires_in is only recommended (RFC 6749, 5.1)
		end = p.cfg.Now().Add(unknownLife)
	}
	return who, end, err
}

// unknownLife is for tokens whose life is not told.
const unknownLife = 5 * time.Minute

// byAccess takes roles and scopes from the access token, where Keycloak keeps
// them; the ID token says who signed in.
func (p *Provider) byAccess(
	ctx context.Context, tok *oauth2.Token, id claims.Payload,
) (claims.Person, time.Time, error) {
	fail := func(err error) (claims.Person, time.Time, error) { return claims.Person{}, time.Time{}, err }
	a, err := p.access(ctx, tok.AccessToken)
	if err != nil {
		return fail(fmt.Errorf("access token of the answer: %w", err))
	}
	if a.Party != p.cfg.ClientID {
		return fail(fmt.Errorf("%w: access token was issued to another client", ErrToken))
	}
	who := claims.Person{
		Subject: a.Identity.Subject, Email: a.Identity.Email, Name: a.Identity.Name, Session: a.Identity.SessionID,
		Roles: a.Identity.Roles, Scopes: a.Identity.Scopes, Party: a.Party,
	}
	if id == nil {
		return who, a.Identity.Expires, nil
	}
	named := p.cfg.Mapping
	named.Roles, named.Scopes = nil, nil
	more, err := named.Person(id)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", contract.ErrIdentity, err))
	}
	if more.Subject != who.Subject {
		return fail(fmt.Errorf("%w: id_token and access token are of two subjects", ErrToken))
	}
	who.Email, who.Name = first(who.Email, more.Email), first(who.Name, more.Name)
	who.Session = first(who.Session, more.Session)
	return who, a.Identity.Expires, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// idToken verifies an ID token (OpenID Connect Core, 3.1.3.7).
func (p *Provider) idToken(ctx context.Context, raw, access, nonce string) (claims.Payload, error) {
	id, err := p.verifier().Verify(ctx, raw)
	if errors.Is(err, ErrKeys) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: id_token: %w", ErrToken, err)
	}
	var all claims.Payload
	if err := id.Claims(&all); err != nil {
		return nil, fmt.Errorf("%w: id_token: %w", ErrToken, err)
	}
	party, _ := all["azp"].(string)
	kind, _ := all["typ"].(string)
	switch {
	case nonce != "" && subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1:
		return nil, fmt.Errorf("%w: id_token has another nonce", ErrToken)
	case party != "" && party != p.cfg.ClientID, kind != "" && kind != "ID":
		return nil, fmt.Errorf("%w: not an id_token for this client", ErrToken)
	case id.AccessTokenHash != "" && id.VerifyAccessToken(access) != nil:
		return nil, fmt.Errorf("%w: id_token belongs to another access token", ErrToken)
	}
	return all, nil
}

// verifier checks ID tokens (OpenID Connect Core, 3.1.3.7).
func (p *Provider) verifier() *goidc.IDTokenVerifier {
	algs := make([]string, 0, len(Algorithms()))
	for _, a := range Algorithms() {
		algs = append(algs, string(a))
	}
	return goidc.NewVerifier(p.cfg.Issuer, p.keys, &goidc.Config{
		ClientID: p.cfg.ClientID, SupportedSigningAlgs: algs,
		Now: func() time.Time { return p.cfg.Now().Add(-p.cfg.Leeway) },
	})
}

// userinfo asks who the access token is about (OpenID Connect Core, 5.3).
func (p *Provider) userinfo(ctx context.Context, access string) (claims.Payload, error) {
	d := p.found.Load()
	if d == nil {
		return nil, ErrNotReady
	}
	if d.Userinfo == "" {
		return nil, fmt.Errorf("%w: the provider has no userinfo endpoint", ErrToken)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Userinfo, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+access)
	var raw json.RawMessage
	if _, err := askJSON(p.client, req, &raw); err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	all, err := claims.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: userinfo: %w", ErrToken, err)
	}
	return all, nil
}
