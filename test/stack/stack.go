package stack

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names of the parts, in the order in which they start.
const (
	Redis    = "redis"
	Keycloak = "keycloak"
	Authsvc  = "authsvc"
	Bridge   = "bridge"
	Nginx    = "nginx"
)

// Ports of the parts; 0 picks a free one.
type Ports struct {
	HTTPS, HTTP, Bridge, BridgeAdmin, Authsvc, AuthsvcInternal, Keycloak, KeycloakAdmin, Redis int
}

// DefaultPorts are those of `make run`.
func DefaultPorts() Ports {
	return Ports{8443, 8080, 3000, 3001, 4180, 4181, 8180, 8190, 6390}
}

// Options of a stack. Bin holds bridge, authsvc and demo; Keycloak is the
// unpacked distribution, of which each stack works on a copy.
type Options struct {
	Dir      string
	Bin      string
	Keycloak string
	Ports    Ports
	Limits   string        // content of nginx/site/limits.conf, "" keeps the file's
	Up       func(p *Part) // told of each part that is up, may be nil
}

// The two sample users and the client's secret, of the local realm alone.
const (
	Realm        = "gatehouse"
	clientSecret = "local-gate-secret"
	Alice        = "alice"
	Bob          = "bob"
)

// Password of a sample user.
func Password(user string) string { return user + "-local" }

// Stack is a running gate.
type Stack struct {
	URL    string // the public origin
	Issuer string
	Ports  Ports
	Dir    string

	tls   *tls.Config
	parts []*Part
}

// Start starts every part in order. On an error nothing is left running.
func Start(ctx context.Context, o Options) (s *Stack, err error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	s = &Stack{Dir: o.Dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.Ports, err = o.Ports.pick(); err != nil {
		return nil, err
	}
	s.URL = fmt.Sprintf("https://localhost:%d", s.Ports.HTTPS)
	s.Issuer = fmt.Sprintf("http://127.0.0.1:%d/realms/%s", s.Ports.Keycloak, Realm)
	if s.tls, err = certificates(o.Dir); err != nil {
		return nil, err
	}
	if err := s.prepare(root, o); err != nil {
		return nil, err
	}
	for _, p := range s.programs(o) {
		s.parts = append(s.parts, p)
		if err := p.start(ctx); err != nil {
			return s, err
		}
		if o.Up != nil {
			o.Up(p)
		}
	}
	return s, nil
}

func (p Ports) pick() (Ports, error) {
	var errs []error
	for _, one := range []struct {
		name string
		port *int
	}{
		{"nginx (https)", &p.HTTPS}, {"nginx (http)", &p.HTTP}, {"bridge", &p.Bridge}, {"bridge (admin)", &p.BridgeAdmin},
		{"authsvc", &p.Authsvc}, {"authsvc (internal)", &p.AuthsvcInternal},
		{"keycloak", &p.Keycloak}, {"keycloak (management)", &p.KeycloakAdmin}, {"redis", &p.Redis},
	} {
		port, err := free(one.name, *one.port)
		*one.port = port
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// prepare lays the files that the parts read.
func (s *Stack) prepare(root string, o Options) error {
	home := filepath.Join(o.Dir, "keycloak")
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := os.CopyFS(home, os.DirFS(o.Keycloak)); err != nil {
		return fmt.Errorf("keycloak: %w; `make deps` fetches it", err)
	}
	realm, err := os.ReadFile(filepath.Join(root, "deploy/keycloak/gatehouse-realm.json"))
	if err != nil {
		return err
	}
	imports := filepath.Join(home, "data", "import")
	nginx := filepath.Join(o.Dir, "nginx")
	for _, dir := range []string{imports, nginx} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(imports, "gatehouse-realm.json"), realm, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "client-secret"), []byte(clientSecret), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(nginx); err != nil {
		return err
	}
	local := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	return RenderNginx(root, nginx, NginxValues{
		HTTPS: s.Ports.HTTPS, HTTP: s.Ports.HTTP,
		Cert: filepath.Join(o.Dir, "server.pem"), Key: filepath.Join(o.Dir, "server.key"),
		Bridge: local(s.Ports.Bridge), BridgeAdmin: local(s.Ports.BridgeAdmin), Authsvc: local(s.Ports.Authsvc),
		Limits: o.Limits,
	})
}

func (s *Stack) programs(o Options) []*Part {
	p, plain := s.Ports, &http.Client{}
	at := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	home := filepath.Join(o.Dir, "keycloak")
	keys := at("http://127.0.0.1:%d/internal/keys", p.AuthsvcInternal)
	nginx := filepath.Join(o.Dir, "nginx")
	parts := []*Part{
		{
			Name: Redis, Wait: "an open port", up: listens(at("127.0.0.1:%d", p.Redis)),
			argv: []string{"redis-server", "--port", at("%d", p.Redis), "--bind", "127.0.0.1", "--dir", o.Dir, "--save", "", "--appendonly", "no"},
		},
		{
			Name: Keycloak, Wait: "the realm's metadata", up: answers(plain, s.Issuer+"/.well-known/openid-configuration"),
			argv: []string{
				filepath.Join(home, "bin", "kc.sh"), "start-dev", "--import-realm", "--http-host=127.0.0.1",
				at("--http-port=%d", p.Keycloak), at("--http-management-port=%d", p.KeycloakAdmin),
			},
			env: []string{
				"GATEHOUSE_PUBLIC_URL=" + s.URL, "GATEHOUSE_CLIENT_SECRET=" + clientSecret,
				"KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD=" + Password("admin"),
			},
		},
		{
			Name: Authsvc, Wait: "/health/ready", up: answers(plain, at("http://127.0.0.1:%d/health/ready", p.AuthsvcInternal)),
			argv: []string{
				filepath.Join(o.Bin, "authsvc"), at("--listen=127.0.0.1:%d", p.Authsvc), at("--internal-listen=127.0.0.1:%d", p.AuthsvcInternal),
				"--public-url=" + s.URL, "--issuer=" + s.Issuer, "--client-id=mcp-gateway", "--client-secret-file=" + filepath.Join(o.Dir, "client-secret"),
				at("--redis-url=redis://127.0.0.1:%d", p.Redis), "--logout-client=mcp-cli", "--require-role=mcp-user",
			},
		},
		{
			Name: Bridge, Wait: "/health", up: answers(plain, at("http://127.0.0.1:%d/health", p.Bridge)),
			argv: []string{
				filepath.Join(o.Bin, "bridge"), at("--listen=127.0.0.1:%d", p.Bridge), at("--admin-listen=127.0.0.1:%d", p.BridgeAdmin),
				"--identity=signed", "--identity-keys=" + keys, "--", filepath.Join(o.Bin, "demo"),
			},
		},
		{
			Name: Nginx, Wait: "/health through TLS", up: answers(s.HTTPClient(), s.URL+"/health"),
			argv: []string{"nginx", "-e", filepath.Join(nginx, "error.log"), "-p", nginx, "-c", filepath.Join(nginx, "nginx.conf"), "-g", "daemon off;"},
		},
	}
	for _, part := range parts {
		part.log = filepath.Join(o.Dir, part.Name+".log")
	}
	return parts
}

// HTTPClient trusts the local CA.
func (s *Stack) HTTPClient() *http.Client { return clientFor(s.tls.Clone()) }

// Part returns the part of this name.
func (s *Stack) Part(name string) *Part {
	i := slices.IndexFunc(s.parts, func(p *Part) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return s.parts[i]
}

// Stop ends one part, as an outage would.
func (s *Stack) Stop(name string) { s.Part(name).stop() }

// StartPart starts a part that Stop has ended, and waits until it is up.
func (s *Stack) StartPart(ctx context.Context, name string) error { return s.Part(name).start(ctx) }

// Close ends everything that Start has started, the last first.
func (s *Stack) Close() {
	for _, p := range slices.Backward(s.parts) {
		p.stop()
	}
}

// Token gets an access token of a sample user for the client mcp-cli. Only the
// local realm allows this grant.
func (s *Stack) Token(ctx context.Context, user string) (string, error) {
	tokens, err := s.tokens(ctx, user)
	return tokens.Access, err
}

// IDToken gets the ID token that comes with an access token.
func (s *Stack) IDToken(ctx context.Context, user string) (string, error) {
	tokens, err := s.tokens(ctx, user)
	return tokens.ID, err
}

type tokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
}

func (s *Stack) tokens(ctx context.Context, user string) (t tokens, err error) {
	form := url.Values{
		"grant_type": {"password"}, "client_id": {"mcp-cli"}, "scope": {"openid"},
		"username": {user}, "password": {Password(user)},
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Issuer+"/protocol/openid-connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		return t, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return t, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return t, err
	}
	if res.StatusCode != http.StatusOK {
		return t, fmt.Errorf("token of %s: %s", user, res.Status)
	}
	return t, json.Unmarshal(body, &t)
}
