package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/oauth2"

	"gatehouse/authsvc/internal/claims"
)

const (
	discoverEvery = time.Second // while the provider does not answer
	keysEvery     = 15 * time.Second
	metadataEvery = 5 * time.Minute
	callLimit     = 8 * time.Second
)

var (
	// ErrNotReady says that the provider has not been reached since the start.
	ErrNotReady = errors.New("the provider has not been reached yet")
	// ErrNotThere says that something answers where the provider should be, and
	// knows no such realm: waiting will not mend it.
	ErrNotThere = errors.New("there is no such realm or issuer")
	// ErrClient says that the provider does not take this client's id and secret.
	ErrClient = errors.New("the provider refused the client's id or secret")
)

// Config names the provider and this client of it.
type Config struct {
	Issuer         string // as it stands in tokens
	IssuerInternal string // where this process reaches it; "" for Issuer
	ClientID       string
	ClientSecret   func() string // asked before each call to the token endpoint
	RedirectURL    string
	LoginScopes    []string
	Mapping        claims.Mapping // what its tokens mean
	Source         Source         // what a sign-in takes the identity from; "" for FromAccess
	GroupsURL      string         // where the groups of a user are that a token has no room for; "" for nowhere
	GroupsScope    string         // of this client's own token for it
	LogoutClients  []string       // whose logout tokens are believed, beside ClientID's
	KeysEvery      time.Duration  // between two looks at the keys, 0 for 15 s
	Leeway         time.Duration  // between the two clocks
	Now            func() time.Time
	Log            zerolog.Logger
}

// Provider is the identity provider. It is safe for concurrent use.
type Provider struct {
	cfg    Config
	client *http.Client
	keys   *KeySet
	found  atomic.Pointer[metadata]
	groups groups
	ahead  atomic.Int64 // of this clock, the issuer's: a time.Duration
}

type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	JWKS          string `json:"jwks_uri"`
	EndSession    string `json:"end_session_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	IssInAnswer   bool   `json:"authorization_response_iss_parameter_supported"`
}

// New makes a provider that is not ready until Run has reached it.
func New(cfg Config) *Provider {
	if cfg.IssuerInternal == "" {
		cfg.IssuerInternal = cfg.Issuer
	}
	if cfg.KeysEvery == 0 {
		cfg.KeysEvery = keysEvery
	}
	if cfg.Source == "" {
		cfg.Source = FromAccess
	}
	p := &Provider{cfg: cfg, client: &http.Client{
		Timeout:       callLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.groups.url, p.groups.scope = cfg.GroupsURL, cfg.GroupsScope
	p.keys = newKeySet(func() string {
		if d := p.found.Load(); d != nil {
			return d.JWKS
		}
		return ""
	}, p.client, cfg.Now, p.hear)
	return p
}

// Keys is the provider's key set.
func (p *Provider) Keys() *KeySet { return p.keys }

// Ready reports whether the provider's metadata and keys are known.
func (p *Provider) Ready(context.Context) error {
	if p.found.Load() == nil {
		return ErrNotReady
	}
	_, err := p.keys.cached("")
	return err
}

// Run finds the provider, and then reads its keys and its metadata again from
// time to time, until ctx ends: a key that was withdrawn must not verify
// because nobody came with a new one.
func (p *Provider) Run(ctx context.Context) {
	var said string
	read := time.Time{}
	for {
		wait := p.cfg.KeysEvery
		err := p.Find(ctx, p.cfg.Now().Sub(read) >= metadataEvery)
		if ctx.Err() != nil {
			return
		}
		if err == nil && p.cfg.Now().Sub(read) >= metadataEvery {
			read = p.cfg.Now()
		}
		if text := fmt.Sprint(err); text != said {
			said = text
			p.tell(err)
		}
		if err != nil { // a key that was withdrawn verifies until it is known
			wait = discoverEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// tell says what has changed: an outage is one line, not one for each try.
func (p *Provider) tell(err error) {
	log := p.cfg.Log.With().Str("issuer", p.cfg.Issuer).Logger()
	switch {
	case err == nil:
		log.Info().Msg("the provider is ready")
	case errors.Is(err, ErrNotThere):
		log.Error().Err(err).Msg("the provider answers, and has no such realm: check --issuer and --issuer-internal")
	case p.Ready(context.Background()) == nil:
		log.Warn().Err(err).Msg("the provider's keys were not read again; the last ones stay in use")
	default:
		log.Warn().Err(err).Msg("the provider is not there; trying every second; " +
			"if this goes on check --issuer, and --issuer-internal where this program reaches it at another address")
	}
}

// Find reads the metadata, where they are not known yet or to be read again,
// and the keys.
func (p *Provider) Find(ctx context.Context, again bool) error {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	if again || p.found.Load() == nil {
		m, err := p.discover(ctx)
		if err != nil {
			return err
		}
		p.found.Store(m)
	}
	return p.keys.again(ctx)
}

// discover reads the metadata (OpenID Connect Discovery 1.0, 4).
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	var m metadata
	base := strings.TrimSuffix(p.cfg.IssuerInternal, "/")
	if _, err := getJSON(ctx, p.client, base+"/.well-known/openid-configuration", &m); err != nil {
		return nil, err
	}
	if m.Issuer != p.cfg.Issuer {
		return nil, fmt.Errorf("the provider calls itself %q, --issuer says %q", m.Issuer, p.cfg.Issuer)
	}
	if m.Authorization == "" || m.Token == "" || m.JWKS == "" {
		return nil, errors.New("the provider's metadata lacks an endpoint")
	}
	return p.adopt(m), nil
}

// adopt splits the endpoints between those that a browser visits, under the
// public issuer, and those that this process calls, under the internal one.
func (p *Provider) adopt(m metadata) *metadata {
	m.Authorization = swapBase(m.Authorization, p.cfg.IssuerInternal, p.cfg.Issuer)
	m.EndSession = swapBase(m.EndSession, p.cfg.IssuerInternal, p.cfg.Issuer)
	m.Token = swapBase(m.Token, p.cfg.Issuer, p.cfg.IssuerInternal)
	m.JWKS = swapBase(m.JWKS, p.cfg.Issuer, p.cfg.IssuerInternal)
	m.Userinfo = swapBase(m.Userinfo, p.cfg.Issuer, p.cfg.IssuerInternal)
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
	if rest, ok := strings.CutPrefix(url, strings.TrimSuffix(from, "/")+"/"); ok {
		return strings.TrimSuffix(to, "/") + "/" + rest
	}
	return url
}
