package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/credential"
	"gatehouse/authsvc/internal/resource"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/httpkit"
)

// config is authsvc's face: each field is a flag, an environment variable
// (AUTHSVC_ and the flag's name) and a line in --help.
type config struct {
	Version           kong.VersionFlag `env:"-" help:"Print the version and end."`
	Listen            string           `help:"Where nginx asks: host:port or unix:PATH." default:"127.0.0.1:4180"`
	InternalListen    string           `help:"Where the bridge asks, and metrics and health answer." default:"127.0.0.1:4181"`
	InternalTokenFile string           `help:"File with NAME TOKEN in each line, or NAME TOKEN ask for who may end nothing: who may ask under /internal/ (default: whoever reaches it)." placeholder:"FILE"`
	InternalTLSCert   string           `name:"internal-tls-cert" help:"Certificate of the internal listener (PEM), which then speaks TLS." placeholder:"FILE"`
	InternalTLSKey    string           `name:"internal-tls-key" help:"Its key." placeholder:"FILE"`
	InternalClientCA  string           `name:"internal-client-ca" help:"Authority of the certificates that who asks under /internal/ must show." placeholder:"FILE"`
	PublicURL         string           `name:"public-url" help:"Address that browsers and clients see, such as https://mcp.example.com or, below a path, https://mcp.example.com/team-a." required:""`
	CookieName        string           `help:"Name of the session's cookie: __Host-gatehouse, and what tells it from that of another gate of this host (default: the path of --public-url, with dots)." placeholder:"NAME"`

	Issuer           string   `help:"Issuer as it stands in tokens." required:""`
	IssuerInternal   string   `help:"Where this program reaches the issuer, if not there."`
	ClientID         string   `name:"client-id" help:"This client at the issuer." required:""`
	ClientSecret     string   `name:"client-secret" help:"Its secret. Prefer the file."`
	ClientSecretFile string   `name:"client-secret-file" help:"File that holds its secret; read anew for each call, so that it can be rotated."`
	LoginScopes      []string `help:"Scopes that a browser's login asks for." default:"openid,profile,email"`

	Identity identityFlags `embed:""`

	TrustIssuer  []string      `help:"Further issuers of access tokens, separated by semicolons: URL,provider=NAME,audience=TEXT." sep:";"`
	APIKeys      string        `name:"api-keys" help:"JSON file of the keys of machines; authsvc key new makes one."`
	Audience     string        `help:"Audience that opens the gate, beside the public URL and its paths."`
	Scopes       []string      `help:"Scopes that each access token must have; announced in challenges." default:"mcp.access"`
	ServerScope  string        `help:"Scope of a token for one server alone, such as mcp.access.{server}; announced under /servers/NAME (default: --scopes)."`
	AdminRole    string        `help:"Role whose holders see and may end all sessions on /account; empty for nobody." default:"mcp-admin"`
	AdminACR     string        `name:"admin-acr" help:"How they must have signed in for it: a value of acr, such as 2 or mfa; empty for any way."`
	RequireRole  string        `help:"Role that each caller must have; there is none that lets everybody in (--allow-any-user)."`
	AllowAnyUser bool          `help:"Let in whoever signs in at the issuer or holds a token of it, without a role."`
	Contact      string        `help:"Whom to ask for what is missing: an address that refusals name."`
	ServersURL   string        `name:"servers-url" help:"Where the bridge tells who may use which server, such as http://127.0.0.1:3000/servers or unix:PATH: a person's page then lists them." placeholder:"URL"`
	LocalCA      string        `name:"local-ca" help:"Authority of this gate's certificate (PEM), where it is not a public one: a person's page then says how to trust it." placeholder:"FILE"`
	LogoutClient []string      `help:"Further clients of the realm whose logout tokens are believed."`
	Leeway       time.Duration `help:"Between the issuer's clock and this one." default:"30s"`

	RedisURL     string `name:"redis-url" help:"redis://, rediss:// or unix://, with +sentinel or +cluster; or memory." default:"memory"`
	RedisURLFile string `name:"redis-url-file" help:"File that holds the Redis URL, when it has a password."`
	StoreKey     string `name:"store-key" help:"Seals what lies in Redis beside the sessions; 32 bytes at least. Prefer the file."`
	StoreKeyFile string `name:"store-key-file" help:"File that holds it: one for all replicas."`
	RedisCA      string `name:"redis-ca" help:"File with the authority that signed Redis's certificate, if the system does not know it."`

	SessionAge      time.Duration `help:"A session ends so long after sign-in." default:"12h"`
	SessionIdle     time.Duration `help:"A session ends so long after its last request." default:"1h"`
	SessionsPerUser int           `help:"Sessions of one user at once, 0 for no limit." default:"0"`
	SessionRefresh  time.Duration `help:"Roles and scopes of a session are asked for anew after so long, if its token does not lapse before." default:"0"`
	TokenAge        time.Duration `help:"Tokens of one sign-in can be renewed so long at the provider: what is revoked stays revoked as long." default:"720h"`
	RefreshGrace    time.Duration `help:"How long past its token's end a session is kept while the issuer is out of reach." default:"5m"`

	KeycloakAdmin bool   `help:"End and hear at Keycloak by its admin API, as this client (roles manage-users, view-clients, view-events)." default:"true" negatable:""`
	Credentials   string `help:"JSON file of the credentials that users can have for servers: each user's own (docs/credentials.md)." placeholder:"FILE"`
	Audit         string `help:"File for one JSON line a sign-in, refusal, revocation and act of an administrator." placeholder:"FILE"`

	Remember int           `help:"Verdicts remembered in this process; more cost memory, fewer a look at the store." default:"4000"`
	Drain    time.Duration `help:"Time for requests under way at the end." default:"10s"`
	LogLevel string        `help:"debug, info, warn or error." default:"info"`
}

const (
	inMemory    = "memory" // in place of a Redis URL
	minStoreKey = 32       // bytes
)

// complete fills in what follows from other fields and reports every problem
// at once.
func (c *config) complete() error {
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/") // the issuer stays as it stands in tokens: Auth0's has a slash
	var secretErr, redisErr, keyErr error
	c.ClientSecret, secretErr = httpkit.Secret("AUTHSVC_CLIENT_SECRET", c.ClientSecret, c.ClientSecretFile)
	if secretErr == nil && c.ClientSecret == "" {
		secretErr = errors.New("--client-secret-file: no client secret; name the file that holds it")
	}
	c.StoreKey, keyErr = httpkit.Secret("AUTHSVC_STORE_KEY", c.StoreKey, c.StoreKeyFile)
	if c.RedisURLFile != "" {
		if c.RedisURL == inMemory { // what stands there without a flag
			c.RedisURL = ""
		}
		c.RedisURL, redisErr = httpkit.Secret("AUTHSVC_REDIS_URL", c.RedisURL, c.RedisURLFile)
	}
	_, mappingErr := c.Identity.mapping(c.ClientID)
	_, sourceErr := c.Identity.source()
	_, trustErr := newTokens(*c, nil, zerolog.Nop())
	_, credentialErr := credential.Read(c.Credentials)
	if credentialErr != nil {
		credentialErr = fmt.Errorf("--credentials: %w", credentialErr)
	}
	err := errors.Join(trustErr, credentialErr, secretErr, redisErr, keyErr, mappingErr, sourceErr, c.check())
	if c.StoreKey == "" { // in memory nobody shares it
		c.StoreKey = session.NewSecret().Encode()
	}
	return err
}

// base is the path of the public URL, "" for a gate with a host of its own.
func (c *config) base() string {
	u, err := url.Parse(c.PublicURL)
	if err != nil { // check has refused it
		return ""
	}
	return u.Path
}

func (c *config) origin() string { return strings.TrimSuffix(c.PublicURL, c.base()) }

func (c *config) cookie() session.Cookie {
	if c.CookieName != "" {
		return session.Cookie(c.CookieName)
	}
	return session.CookieBelow(c.base())
}

// rules is what a caller must show, and for what.
func (c *config) rules() resource.Rules {
	return resource.Rules{
		PublicURL: c.PublicURL, Audience: c.Audience, Scopes: c.Scopes, Server: c.ServerScope, Role: c.RequireRole,
	}
}

func (c *config) check() error {
	checks := []struct {
		bad bool
		msg string
	}{
		{
			!isPublic(c.PublicURL),
			fmt.Sprintf("--public-url %q: want an https origin (http only for localhost), and behind it nothing or a path "+
				"such as /team-a: letters, digits, - and _, and no name that the gate has itself", c.PublicURL),
		},
		{
			c.CookieName != "" && !cookieNames.MatchString(c.CookieName),
			fmt.Sprintf("--cookie-name %q: want %s and at most 64 letters, digits, dots, - and _", c.CookieName,
				session.CookieName),
		},
		{!isHTTP(c.Issuer), fmt.Sprintf("--issuer %q: want an http or https URL", c.Issuer)},
		{
			c.IssuerInternal != "" && !isHTTP(c.IssuerInternal),
			fmt.Sprintf("--issuer-internal %q: want an http or https URL", c.IssuerInternal),
		},
		{
			c.RequireRole == "" && !c.AllowAnyUser,
			"--require-role: name the role that callers must have, or say --allow-any-user",
		},
		{c.RequireRole != "" && c.AllowAnyUser, "--require-role and --allow-any-user: want one of them"},
		{
			c.ServerScope != "" && !strings.Contains(c.ServerScope, resource.ServerName),
			fmt.Sprintf("--server-scope %q: want %s in it", c.ServerScope, resource.ServerName),
		},
		{
			c.ServersURL != "" && !isHTTP(c.ServersURL) && !strings.HasPrefix(c.ServersURL, "unix:"),
			fmt.Sprintf("--servers-url %q: want an http or https URL, or unix:PATH", c.ServersURL),
		},
		{c.SessionRefresh < 0, "--session-refresh: want 0 or more"},
		{c.SessionAge < time.Minute, "--session-age: want at least 1m"},
		{c.SessionIdle <= 0 || c.SessionIdle > c.SessionAge, "--session-idle: want more than 0 and at most --session-age"},
		{c.SessionsPerUser < 0, "--sessions-per-user: want 0 or more"},
		{c.RefreshGrace < 0, "--refresh-grace: want 0 or more"},
		{c.Remember < 2, "--remember: want at least 2"},
		{c.Leeway < 0 || c.Leeway > 5*time.Minute, "--leeway: want 0 to 5m"},
		{
			(c.InternalTLSCert == "") != (c.InternalTLSKey == ""),
			"--internal-tls-cert and --internal-tls-key: give both or neither",
		},
		{
			c.InternalClientCA != "" && c.InternalTLSCert == "",
			"--internal-client-ca: needs --internal-tls-cert and --internal-tls-key",
		},
		{c.RedisURL != inMemory && len(c.StoreKey) < minStoreKey, fmt.Sprintf("--store-key-file: with --redis-url the store "+
			"needs a key of its own, of %d bytes at least (openssl rand -hex 32)", minStoreKey)},
		{c.RedisURL == inMemory && c.StoreKey != "" && len(c.StoreKey) < minStoreKey,
			fmt.Sprintf("--store-key-file: %d bytes, want %d at least (openssl rand -hex 32)", len(c.StoreKey), minStoreKey)},
		{
			c.Credentials != "" && c.InternalTokenFile == "" && c.InternalClientCA == "",
			"--credentials: needs --internal-token-file or --internal-client-ca: " +
				"who reaches the internal listener must not get people's secrets",
		},
		{c.Listen == c.InternalListen, "--listen and --internal-listen: want two addresses"},
	}
	var errs []error
	for _, check := range checks {
		if check.bad {
			errs = append(errs, errors.New(check.msg))
		}
	}
	return errors.Join(errs...)
}

func isHTTP(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" &&
		u.Fragment == ""
}

var (
	cookieNames = regexp.MustCompile(`^` + session.CookieName + `[A-Za-z0-9._-]{0,64}$`)
	basePaths   = regexp.MustCompile(`^(?:/[A-Za-z0-9_-]+)*$`)
)

// isPublic insists on https where a browser does: __Host- cookies are Secure.
func isPublic(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || !isHTTP(raw) || raw != u.Scheme+"://"+u.Host+u.Path {
		return false
	}
	if len(u.Path) > 64 || !basePaths.MatchString(u.Path) || !resource.BaseOK(u.Path) {
		return false
	}
	return u.Scheme == "https" || u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"
}
