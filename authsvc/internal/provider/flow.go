package provider

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/internal/contract"
)

// ErrRefused says that the provider answered and said no. Any other error of
// Exchange and Refresh means that it could not be asked.
var ErrRefused = errors.New("the provider refused")

// Grant is what the provider gave. The identity is that of the verified
// tokens; its SessionID is the provider's sid, its Expires the access token's.
type Grant struct {
	Identity     contract.Identity
	RefreshToken string
	IDToken      string
	AccessToken  string
	ACR          string // how it was signed in (OpenID Connect Core, 2), "" where it does not say
}

// AuthURL is where a browser signs in: code flow with PKCE (RFC 7636, S256). acr
// is how it must sign in (OpenID Connect Core, 3.1.2.1), "" for any way.
func (p *Provider) AuthURL(state, nonce, verifier, acr, language string) (string, error) {
	d := p.found.Load()
	if d == nil {
		return "", ErrNotReady
	}
	options := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("nonce", nonce), oauth2.S256ChallengeOption(verifier)}
	if acr != "" {
		options = append(options, oauth2.SetAuthURLParam("acr_values", acr))
	}
	if language != "" {
		options = append(options, oauth2.SetAuthURLParam("ui_locales", language))
	}
	return p.flow(d).AuthCodeURL(state, options...), nil
}

// Is reports whether an issuer is this provider.
func (p *Provider) Is(issuer string) bool { return issuer == p.cfg.Issuer }

// CheckIssuer refuses an authorization answer of another provider (RFC 9207).
func (p *Provider) CheckIssuer(iss string) error {
	d := p.found.Load()
	if d == nil {
		return ErrNotReady
	}
	if iss == "" && !d.IssInAnswer {
		return nil
	}
	if iss != p.cfg.Issuer {
		return fmt.Errorf("%w: the answer comes from another issuer", ErrRefused)
	}
	return nil
}

// Exchange trades a code for a grant.
func (p *Provider) Exchange(ctx context.Context, code, nonce, verifier string) (Grant, error) {
	d := p.found.Load()
	if d == nil {
		return Grant{}, ErrNotReady
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.client)
	tok, err := p.secretFlow(d).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Grant{}, answered(err)
	}
	return p.grant(ctx, tok, nonce)
}

// Refresh trades a refresh token for a grant.
func (p *Provider) Refresh(ctx context.Context, refreshToken string) (Grant, error) {
	d := p.found.Load()
	if d == nil {
		return Grant{}, ErrNotReady
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	// A fresh source: it holds no access token, so it asks exactly once.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.client)
	src := p.secretFlow(d).TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken})
	tok, err := src.Token()
	if err != nil {
		return Grant{}, answered(err)
	}
	return p.grant(ctx, tok, "")
}

// CheckClient asks whether the provider takes this client's id and secret, with a
// refresh token that nobody has: it looks at the client first.
func (p *Provider) CheckClient(ctx context.Context) error {
	_, err := p.Refresh(ctx, "none")
	if errors.Is(err, ErrRefused) {
		return nil
	}
	return err
}

// answered tells a refusal (RFC 6749, 5.2) from a provider in trouble.
func answered(err error) error {
	var re *oauth2.RetrieveError
	if errors.As(err, &re) && re.ErrorCode == "invalid_grant" {
		return fmt.Errorf("%w: %s", ErrRefused, re.ErrorCode)
	}
	// RFC 6749, 5.2 names the first; Keycloak answers with the second.
	if errors.As(err, &re) && (re.ErrorCode == "invalid_client" || re.ErrorCode == "unauthorized_client") {
		return fmt.Errorf("%w: %s", ErrClient, re.ErrorCode)
	}
	if errors.As(err, &re) { // the body may hold what must not be logged
		return fmt.Errorf("the provider's token endpoint answered %d %q", re.Response.StatusCode, re.ErrorCode)
	}
	return err
}

// LogoutURL is where a browser ends the provider's session (RP-Initiated
// Logout 1.0), or back itself where the provider has no such place.
func (p *Provider) LogoutURL(idToken, back string) string {
	d := p.found.Load()
	if d == nil || d.EndSession == "" {
		return back
	}
	q := url.Values{"client_id": {p.cfg.ClientID}, "post_logout_redirect_uri": {back}}
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	return d.EndSession + "?" + q.Encode()
}

// expired reports whether exp has passed, with leeway for the two clocks.
func (p *Provider) expired(exp time.Time) bool {
	return !p.cfg.Now().Before(exp.Add(p.cfg.Leeway))
}
