package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/rs/zerolog"
	"golang.org/x/oauth2"
)

const (
	discoverEvery = time.Second // while the provider is away
	callLimit     = 8 * time.Second
)

// ErrNotReady says that the provider has not been reached since the start.
var ErrNotReady = errors.New("the provider has not been reached yet")

// Config names the provider and this client of it.
type Config struct {
	Issuer         string // as it stands in tokens
	IssuerInternal string // where this process reaches it; "" for Issuer
	ClientID       string
	ClientSecret   func() string // asked before each call to the token endpoint
	RedirectURL    string
	LoginScopes    []string
	Audience       string        // of access tokens that are sent as Bearer
	LogoutClients  []string      // whose logout tokens are believed, beside ClientID's
	Leeway         time.Duration // between the two clocks
	Now            func() time.Time
	Log            zerolog.Logger
}

// Provider is the identity provider. It is safe for concurrent use.
type Provider struct {
	cfg    Config
	client *http.Client
	keys   *KeySet
	found  atomic.Pointer[metadata]
}

type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	JWKS          string `json:"jwks_uri"`
	EndSession    string `json:"end_session_endpoint"`
	IssInAnswer   bool   `json:"authorization_response_iss_parameter_supported"`
}

// New makes a provider that is not ready until Run has reached it.
func New(cfg Config) *Provider {
	if cfg.IssuerInternal == "" {
		cfg.IssuerInternal = cfg.Issuer
	}
	p := &Provider{cfg: cfg, client: &http.Client{
		Timeout:       callLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.keys = newKeySet(func() string {
		if d := p.found.Load(); d != nil {
			return d.JWKS
		}
		return ""
	}, p.client, cfg.Now)
	return p
}

// Keys is the provider's key set.
func (p *Provider) Keys() *KeySet { return p.keys }

// Ready reports whether the provider's metadata and keys are known.
func (p *Provider) Ready(context.Context) error {
	if p.found.Load() == nil {
		return ErrNotReady
	}
	_, _, err := p.keys.cached("")
	return err
}

// Run looks for the provider until it is found or ctx ends.
func (p *Provider) Run(ctx context.Context) {
	for waiting := false; ; {
		err := p.discover(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !waiting {
			p.cfg.Log.Warn().Err(err).Msg("the provider is out of reach; trying every second")
		}
		waiting = true
		select {
		case <-ctx.Done():
			return
		case <-time.After(discoverEvery):
		}
	}
}

func (p *Provider) discover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	if p.found.Load() == nil {
		var m metadata
		if err := getJSON(ctx, p.client, p.cfg.IssuerInternal+"/.well-known/openid-configuration", &m); err != nil {
			return err
		}
		if m.Issuer != p.cfg.Issuer {
			return fmt.Errorf("the provider calls itself %q, --issuer says %q", m.Issuer, p.cfg.Issuer)
		}
		if m.Authorization == "" || m.Token == "" || m.JWKS == "" {
			return errors.New("the provider's metadata lacks an endpoint")
		}
		p.found.Store(p.adopt(m))
	}
	p.keys.mu.Lock()
	p.keys.tried = time.Time{} // the loop above is slow enough by itself
	p.keys.mu.Unlock()
	if err := p.keys.refresh(ctx); err != nil {
		return err
	}
	p.cfg.Log.Info().Str("issuer", p.cfg.Issuer).Msg("the provider is ready")
	return nil
}

// adopt splits the endpoints between those that a browser visits, under the
// public issuer, and those that this process calls, under the internal one.
func (p *Provider) adopt(m metadata) *metadata {
	m.Authorization = swapBase(m.Authorization, p.cfg.IssuerInternal, p.cfg.Issuer)
	m.EndSession = swapBase(m.EndSession, p.cfg.IssuerInternal, p.cfg.Issuer)
	m.Token = swapBase(m.Token, p.cfg.Issuer, p.cfg.IssuerInternal)
	m.JWKS = swapBase(m.JWKS, p.cfg.Issuer, p.cfg.IssuerInternal)
	return &m
}

// flow is this client as the provider knows it, without its secret.
func (p *Provider) flow(m *metadata) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, RedirectURL: p.cfg.RedirectURL, Scopes: p.cfg.LoginScopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// secretFlow is flow for a call to the token endpoint, with the secret of now.
func (p *Provider) secretFlow(m *metadata) *oauth2.Config {
	f := p.flow(m)
	f.ClientSecret = p.cfg.ClientSecret()
	return f
}

func swapBase(url, from, to string) string {
	if rest, ok := strings.CutPrefix(url, from+"/"); ok {
		return to + "/" + rest
	}
	return url
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
