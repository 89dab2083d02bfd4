package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	callLimit = 8 * time.Second
	maxLead   = 5 * time.Minute // before its end a token is renewed
)

var (
	// ErrRefused says that the provider of an oauth credential said no.
	ErrRefused = errors.New("the provider of the credential refused")
	// ErrRevoke says that the provider did not take a token back.
	ErrRevoke = errors.New("the provider did not take the credential back")
)

// Flow is one authorization under way. It travels in its browser, sealed.
type Flow struct {
	Entry    string `json:"entry"`
	Subject  string `json:"sub"` // who began it: nobody else ends it
	Verifier string `json:"verifier"`
	Born     int64  `json:"born"` // Unix seconds
}

// NewFlow begins one.
func (s *Service) NewFlow(subject string, e *Entry) Flow {
	return Flow{Entry: e.Name, Subject: subject, Verifier: oauth2.GenerateVerifier(), Born: s.Now().Unix()}
}

// CallbackPath is where the provider of an entry sends the browser back to.
// Each has its own, so that no answer is taken for another's (RFC 9700, 4.4).
func CallbackPath(name string) string { return ConnectPath(name) + "/callback" }

func (s *Service) flow(e *Entry) (*oauth2.Config, error) {
	secret, err := httpkit.Secret("client_secret", "", e.ClientSecretFile)
	if err != nil {
		return nil, fmt.Errorf("credential %s: %w", e.Name, err)
	}
	style := oauth2.AuthStyleInHeader
	if secret == "" {
		style = oauth2.AuthStyleInParams // a public client names itself in the body (RFC 6749, 3.2.1)
	}
	return &oauth2.Config{
		ClientID: e.ClientID, ClientSecret: secret, Scopes: e.Scopes, RedirectURL: s.PublicURL + CallbackPath(e.Name),
		Endpoint: oauth2.Endpoint{AuthURL: e.Authorize, TokenURL: e.Token, AuthStyle: style},
	}, nil
}

// AuthURL is where the browser asks for the user's consent: code flow with PKCE
// (RFC 7636, S256).
func (s *Service) AuthURL(e *Entry, state string, f Flow) (string, error) {
	flow, err := s.flow(e)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.Verifier)}
	for name, value := range e.Params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return flow.AuthCodeURL(state, options...), nil
}

// Connect trades the code of an answer for the user's token and keeps it. iss
// is the issuer that the answer names, "" for none.
func (s *Service) Connect(ctx context.Context, who contract.Identity, e *Entry, f Flow, code, iss string) error {
	if e.Issuer != "" && iss != e.Issuer || e.Issuer == "" && iss != "" && !sameOrigin(iss, e.Authorize) {
		return fmt.Errorf("%w: the answer comes from another issuer", ErrRefused) // RFC 9207, 2.4
	}
	flow, err := s.flow(e)
	if err != nil {
		return err
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	tok, err := flow.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return answered(err)
	}
	now := s.Now()
	r := &record{Since: now, Used: now}
	if err := r.adopt(tok, now); err != nil {
		return err
	}
	return s.connected(ctx, who, e, r)
}

// adopt moves an answer's contents in. A refresh token that is not replaced
// stays (RFC 6749, 6).
func (r *record) adopt(tok *oauth2.Token, now time.Time) error {
	if contract.CheckSecret(tok.AccessToken) != nil {
		return fmt.Errorf("%w: its answer holds no access token that can be passed on", ErrRefused)
	}
	r.Secret, r.Expires, r.Life = tok.AccessToken, tok.Expiry, 0
	if !r.Expires.IsZero() {
		r.Life = r.Expires.Sub(now)
	}
	if tok.RefreshToken != "" {
		r.Refresh = tok.RefreshToken
	}
	if granted, ok := tok.Extra("scope").(string); ok && granted != "" {
		between := func(c rune) bool { return c == ' ' || c == ',' } // Slack and GitHub have commas
		r.Scopes = strings.FieldsFunc(granted, between)
	}
	return nil
}

// due reports whether the token is in the last quarter of its life, or in its
// last minutes.
func (r *record) due(now time.Time) bool {
	return !r.Expires.IsZero() && r.Expires.Sub(now) < min(r.Life/4, maxLead)
}

// revoke takes the tokens back (RFC 7009): the refresh token, with which its
// access tokens end, and the access token for providers that think otherwise.
func (s *Service) revoke(ctx context.Context, e *Entry, r *record) error {
	if e.Kind != OAuth || e.Revoke == "" {
		return nil
	}
	flow, err := s.flow(e)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRevoke, err)
	}
	var errs []error
	for _, one := range []struct{ token, hint string }{{r.Refresh, "refresh_token"}, {r.Secret, "access_token"}} {
		if one.token != "" {
			errs = append(errs, s.revokeOne(ctx, e, flow, one.token, one.hint))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) revokeOne(ctx context.Context, e *Entry, flow *oauth2.Config, token, hint string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {hint}}
	if flow.ClientSecret == "" {
		form.Set("client_id", flow.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRevoke, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if flow.ClientSecret != "" {
		req.SetBasicAuth(url.QueryEscape(flow.ClientID), url.QueryEscape(flow.ClientSecret))
	}
	res, err := s.Client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: it is out of reach", ErrRevoke)
	}
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%w: it answered %d", ErrRevoke, res.StatusCode)
	}
	return nil
}

func (s *Service) call(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	return context.WithValue(ctx, oauth2.HTTPClient, s.Client), cancel
}

// answered tells a refusal from a provider in trouble. The body may hold what
// must not be logged.
func answered(err error) error {
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) {
		return errors.New("the provider of the credential is out of reach, or its answer is no token")
	}
	switch re.ErrorCode {
	case "invalid_grant", "bad_refresh_token", "bad_verification_code", "invalid_code", "invalid_refresh_token",
		"token_revoked", "access_denied":
		return fmt.Errorf("%w: %s", ErrRefused, re.ErrorCode)
	}
	return fmt.Errorf("the credential's token endpoint answered %d %.64q", re.Response.StatusCode, re.ErrorCode)
}

func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, other := url.Parse(b)
	return err == nil && other == nil && u.Scheme == v.Scheme && u.Host == v.Host
}
