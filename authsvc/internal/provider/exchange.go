package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // a name
	maxLinked       = 64 << 10                                        // bytes of an answer with a linked account's token
)

// ExchangeToken trades an access token for one with another audience (RFC 8693,
// 2). Keycloak takes a token that was issued to this client or names it as an
// audience.
func (p *Provider) ExchangeToken(
	ctx context.Context, token, audience string, scopes []string,
) (secret string, end time.Time, err error) {
	d := p.found.Load()
	if d == nil {
		return "", end, ErrNotReady
	}
	form := url.Values{
		"grant_type": {grantExchange}, "subject_token": {token}, "subject_token_type": {typeAccessToken},
		"requested_token_type": {typeAccessToken}, "audience": {audience},
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return "", end, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(p.cfg.ClientID), url.QueryEscape(p.cfg.ClientSecret())) // RFC 6749, 2.3.1
	return p.secretOf(req)
}

// LinkedToken reads the token that a Keycloak holds of an account that its user
// has linked (its broker's endpoint). The user needs the role read-token of the
// client broker, and the linked provider must store its tokens.
func (p *Provider) LinkedToken(ctx context.Context, token, alias string) (secret string, end time.Time, err error) {
	base := p.cfg.IssuerInternal
	if p.found.Load() == nil {
		return "", end, ErrNotReady
	}
	address := strings.TrimSuffix(base, "/") + "/broker/" + url.PathEscape(alias) + "/token"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", end, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return p.secretOf(req)
}

// secretOf reads the access token of an answer. Nothing of the body gets into
// an error but the provider's word for what is wrong.
func (p *Provider) secretOf(req *http.Request) (secret string, end time.Time, err error) {
	ctx, cancel := context.WithTimeout(req.Context(), callLimit)
	defer cancel()
	req.Header.Set("Accept", "application/json")
	res, err := p.client.Do(req.WithContext(ctx))
	if err != nil {
		return "", end, fmt.Errorf("the provider is out of reach: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxLinked))
	if err != nil {
		return "", end, fmt.Errorf("the provider's answer: %w", err)
	}
	var m struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
		AtSeconds int64  `json:"accessTokenExpiration"` // Keycloak's, of a linked account's token
		Error     string `json:"error"`
	}
	readErr := json.Unmarshal(body, &m)
	switch {
	case res.StatusCode >= http.StatusInternalServerError:
		return "", end, fmt.Errorf("the provider answered %d", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return "", end, fmt.Errorf("%w: %d %.64q", ErrRefused, res.StatusCode, m.Error)
	case readErr != nil:
		m.Token = fromForm(body)
	case m.AtSeconds > 0:
		end = time.Unix(m.AtSeconds, 0)
	case m.ExpiresIn > 0:
		end = p.cfg.Now().Add(time.Duration(m.ExpiresIn) * time.Second)
	}
	if m.Token == "" {
		return "", end, errors.New("the provider's answer holds no access token")
	}
	return m.Token, end, nil
}

// fromForm reads what some linked providers, such as GitHub, answer with.
func fromForm(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get("access_token")
}
