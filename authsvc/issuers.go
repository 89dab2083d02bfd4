package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/apikey"
	"gatehouse/authsvc/internal/claims"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/resource"
)

// trusted is a further issuer whose access tokens count, and its audience for
// this gate.
type trusted struct {
	issuer, audience string
	mapping          claims.Mapping
}

// parseTrusted reads one --trust-issuer: URL,provider=NAME,audience=TEXT.
func parseTrusted(text string) (trusted, error) {
	fail := func(why string) (trusted, error) {
		return trusted{}, fmt.Errorf("--trust-issuer %q: %s: want URL,provider=NAME,audience=TEXT", text, why)
	}
	parts := strings.Split(text, ",")
	t, vendor := trusted{issuer: parts[0]}, "oidc"
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case name == "provider":
			vendor = value
		case name == "audience":
			t.audience = value
		default:
			return fail("unknown " + name)
		}
	}
	var ok bool
	if t.mapping, ok = claims.Of(vendor, ""); !ok {
		return fail("no provider " + vendor)
	}
	if u, err := url.Parse(t.issuer); err != nil || u.Host == "" || !isHTTP(t.issuer) {
		return fail("no URL")
	}
	return t, nil
}

// tokens verifies access tokens of the provider and of the further issuers.
type tokens struct {
	*provider.Provider
	rules  resource.Rules
	keys   *apikey.Keys // of machines; nil for none
	others map[string]other
}

type other struct {
	*provider.Provider
	audience string
}

// newTokens joins the issuers. The rules of identity are the same for all: what
// travels, which role follows from which.
func newTokens(cfg config, home *provider.Provider, log zerolog.Logger) (tokens, error) {
	own, err := cfg.Identity.mapping(cfg.ClientID)
	if err != nil {
		return tokens{}, err
	}
	t := tokens{Provider: home, rules: cfg.rules(), others: map[string]other{}}
	if cfg.APIKeys != "" {
		if t.keys, err = apikey.Open(cfg.APIKeys, time.Now, log); err != nil {
			return t, err
		}
	}
	for _, text := range cfg.TrustIssuer {
		one, err := parseTrusted(text)
		if err != nil {
			return t, err
		}
		if _, twice := t.others[one.issuer]; twice || one.issuer == cfg.Issuer {
			return t, fmt.Errorf("--trust-issuer %q: it is named twice", one.issuer)
		}
		one.mapping.Keep, one.mapping.Grants, one.mapping.Trusted = own.Keep, own.Grants, own.Trusted
		t.others[one.issuer] = other{audience: one.audience, Provider: provider.New(provider.Config{
			Issuer: one.issuer, Mapping: one.mapping, Leeway: cfg.Leeway, Now: time.Now, Log: log,
		})}
	}
	return t, nil
}

// loops keep the keys of all issuers fresh.
func (t tokens) loops() []func(context.Context) {
	all := []func(context.Context){t.Run}
	for _, o := range t.others {
		all = append(all, o.Run)
	}
	return all
}

// Generation changes when a key of any issuer has been withdrawn.
func (t tokens) Generation() uint64 {
	n := t.Keys().Generation()
	for _, o := range t.others {
		n += o.Keys().Generation()
	}
	if t.keys != nil {
		n += t.keys.Generation()
	}
	return n
}

// VerifyAccess verifies with the keys of the issuer that the token names. Two
// issuers can have one subject, and a session's id, for two people: those of a
// further one carry its name.
func (t tokens) VerifyAccess(ctx context.Context, token string) (provider.Access, error) {
	if strings.HasPrefix(token, apikey.Prefix) {
		return t.keyAccess(token)
	}
	o, ok := t.others[issuerOf(token)]
	if !ok {
		return t.Provider.VerifyAccess(ctx, token)
	}
	a, err := o.VerifyAccess(ctx, token)
	if err != nil {
		return a, err
	}
	issuer := issuerOf(token)
	a.Identity.Subject = issuer + "#" + a.Identity.Subject
	if a.Identity.SessionID != "" {
		a.Identity.SessionID = issuer + "#" + a.Identity.SessionID
	}
	for _, aud := range a.Audience {
		if aud == o.audience && aud != "" {
			a.Audience = append(a.Audience, t.rules.PublicURL)
			break
		}
	}
	return a, a.Identity.Fits()
}

// issuerOf reads what nobody has verified yet: it only chooses whose keys must.
func issuerOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > provider.MaxTokenBytes {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	_ = json.Unmarshal(raw, &c)
	return c.Issuer
}
