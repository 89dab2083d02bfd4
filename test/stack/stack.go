package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	Limits   string              // content of nginx/site/limits.conf, "" keeps the file's
	Server   []string            // the MCP server behind the bridge, by default the demo: a command, or --config FILE
	Replicas int                 // of authsvc and of the bridge, beyond the first: Replica names them
	Env      map[string][]string // further environment of a part, by its name

	Up      func(p *Part)                      // told of each part that is up, may be nil
	Waiting func(p *Part, since time.Duration) // told once a second while one is waited for, may be nil
}

// The two sample users and the client's secret, of the local realm alone.
const (
	Realm        = "gatehouse"
	clientSecret = "local-gate-secret"
	storeKey     = "local-gate-store-key-of-32-bytes"
	// keycloakFeatures are those that Keycloak does not have on by itself.
	keycloakFeatures = "client-secret-rotation"
	// keycloakClosed are the ways to register a client that take a whole one, with
	// claims of its tokens: deploy/keycloak/keycloak.conf closes them, too.
	keycloakClosed = "--spi-client-registration--default--enabled=false"
	Alice          = "alice"
	Bob            = "bob"
)

// Password of a sample user.
func Password(user string) string { return user + "-local" }

// Stack is a running gate.
type Stack struct {
	URL      string // the public origin
	PlainURL string // the same by plain HTTP
	Issuer   string
	Ports    Ports  // zero for an attached gate
	Dir      string // "" for an attached gate

	ca            string   // file
	redis         []string // redis-cli with its address
	adminPassword string
	tls           *tls.Config
	http          *http.Client
	parts         []*Part
	more          []Ports // of the replicas beyond the first
}

// Start starts every part in order. On an error nothing is left running.
func Start(ctx context.Context, o Options) (s *Stack, err error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	s = &Stack{Dir: o.Dir, adminPassword: Password("admin")}
	defer func(s *Stack) {
		if err != nil {
			s.Close()
		}
	}(s)
	ports, err := o.Ports.pick()
	if err != nil {
		return nil, err
	}
	s.settle(ports)
	if s.more, err = pickMore(o.Replicas); err != nil {
		return nil, err
	}
	if s.tls, err = certificates(o.Dir); err != nil {
		return nil, err
	}
	s.ca = filepath.Join(o.Dir, "ca.pem")
	s.redis = []string{"redis-cli", "-p", fmt.Sprint(s.Ports.Redis)}
	s.http = s.HTTPClient()
	realm, err := realmFile(root)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, root, o, realm); err != nil {
		return nil, err
	}
	for _, p := range s.programs(o) {
		s.parts = append(s.parts, p)
		p.waiting = o.Waiting
		if err := p.start(ctx); err != nil {
			return nil, err
		}
		if p.Name == Keycloak {
			if err := s.pointRealm(ctx, realm); err != nil {
				return nil, err
			}
		}
		if o.Up != nil {
			o.Up(p)
		}
	}
	return s, nil
}

// settle gives the addresses that follow from the ports.
func (s *Stack) settle(p Ports) {
	s.Ports = p
	s.URL = fmt.Sprintf("https://localhost:%d", p.HTTPS)
	s.PlainURL = fmt.Sprintf("http://localhost:%d", p.HTTP)
	s.Issuer = fmt.Sprintf("http://127.0.0.1:%d/realms/%s", p.Keycloak, Realm)
}

// NamedPort is a port with the part that listens on it and the option of
// `make run` that moves it.
type NamedPort struct {
	Name, Part string
	Port       *int
}

// Each lists the ports.
func (p *Ports) Each() []NamedPort {
	return []NamedPort{
		{"https", "nginx (https)", &p.HTTPS}, {"http", "nginx (http)", &p.HTTP},
		{"bridge", "bridge", &p.Bridge}, {"bridge-admin", "bridge (admin)", &p.BridgeAdmin},
		{"authsvc", "authsvc", &p.Authsvc}, {"authsvc-internal", "authsvc (internal)", &p.AuthsvcInternal},
		{"keycloak-port", "keycloak", &p.Keycloak}, {"keycloak-admin", "keycloak (management)", &p.KeycloakAdmin},
		{"redis", "redis", &p.Redis},
	}
}

func (p Ports) pick() (Ports, error) {
	var errs []error
	for _, one := range p.Each() {
		port, err := free(one.Part, one.Name, *one.Port)
		*one.Port = port
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// prepare lays the files that the parts read.
func (s *Stack) prepare(ctx context.Context, root string, o Options, realm []byte) error {
	users, err := usersFile(root)
	if err != nil {
		return err
	}
	seed, err := s.seed(ctx, o, realm, users)
	if err != nil {
		return err
	}
	home, nginx := filepath.Join(o.Dir, "keycloak"), filepath.Join(o.Dir, "nginx")
	for _, old := range []string{home, nginx} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	if err := copyKeycloak(home, seed); err != nil {
		return err
	}
	for name, text := range map[string]string{"client-secret": clientSecret, "store-key": storeKey} {
		if err := os.WriteFile(filepath.Join(o.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	values := NginxValues{
		HTTPS: s.Ports.HTTPS, HTTP: s.Ports.HTTP,
		Cert: filepath.Join(o.Dir, "server.pem"), Key: filepath.Join(o.Dir, "server.key"),
		Bridge: local(s.Ports.Bridge), BridgeAdmin: local(s.Ports.BridgeAdmin), Authsvc: local(s.Ports.Authsvc),
		Limits: o.Limits,
	}
	s.replicate(&values)
	return RenderNginx(root, nginx, values)
}

func (s *Stack) programs(o Options) []*Part {
	p := s.Ports
	at := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	home := filepath.Join(o.Dir, "keycloak")
	nginx := filepath.Join(o.Dir, "nginx")
	parts := []*Part{
		{
			Name: Redis, Wait: "an open port", up: listens(at("127.0.0.1:%d", p.Redis)),
			argv: []string{
				"redis-server",
				"--port",
				at("%d", p.Redis),
				"--bind",
				"127.0.0.1",
				"--dir",
				o.Dir,
				"--save",
				"",
				"--appendonly",
				"yes",
			},
		},
		s.keycloak(home, p),
	}
	parts = append(parts, s.gates(o)...)
	parts = append(parts,
		&Part{
			Name: Nginx, Wait: "/health through TLS", up: answers(s.HTTPClient(), s.URL+"/health"),
			argv: []string{
				"nginx",
				"-e",
				filepath.Join(nginx, "error.log"),
				"-p",
				nginx,
				"-c",
				filepath.Join(nginx, "nginx.conf"),
				"-g",
				"daemon off;",
			},
		},
	)
	for _, part := range parts {
		part.env = append(part.env, o.Env[part.Name]...)
		part.log = filepath.Join(o.Dir, part.Name+".log")
	}
	return parts
}

// server is what the bridge's command line ends with.
func (o Options) server() []string {
	switch {
	case len(o.Server) == 0:
		return []string{"--", filepath.Join(o.Bin, "demo")}
	case o.Server[0] == "--config":
		return o.Server
	default:
		return append([]string{"--"}, o.Server...)
	}
}

// keycloak serves the realm from home. A build option that differs between two
// starts would make it build itself again.
func (s *Stack) keycloak(home string, p Ports) *Part {
	part := &Part{
		Name: Keycloak, Wait: "the realm's metadata",
		up: answers(
			&http.Client{},
			fmt.Sprintf("http://127.0.0.1:%d/realms/%s/.well-known/openid-configuration", p.Keycloak, Realm),
		),
		argv: []string{
			filepath.Join(home, "bin", "kc.sh"), "start-dev", "--import-realm", "--http-host=127.0.0.1",
			"--features=" + keycloakFeatures, keycloakClosed, fmt.Sprintf("--http-port=%d", p.Keycloak),
			fmt.Sprintf("--http-management-port=%d", p.KeycloakAdmin),
		},
		// The compiler's first tier: a short life is start-up and little else.
		env: []string{
			"KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD=" + s.adminPassword,
			"JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1",
		},
	}
	for name, value := range s.realmValues() {
		part.env = append(part.env, name+"="+value)
	}
	return part
}

// HTTPClient trusts the local CA.
func (s *Stack) HTTPClient() *http.Client { return clientFor(s.tls.Clone(), nil) }

// HTTPClientFrom is HTTPClient from another address of this machine, which
// nginx counts as a caller of its own.
func (s *Stack) HTTPClientFrom(from net.IP) *http.Client { return clientFor(s.tls.Clone(), from) }

// CAFile trusts the gate's certificate: PEM.
func (s *Stack) CAFile() string { return s.ca }

// Redis runs a command by redis-cli and returns what it printed.
func (s *Stack) Redis(ctx context.Context, args ...string) (string, error) {
	argv := append(slices.Clone(s.redis), args...)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w", argv, err)
	}
	return string(out), nil
}

// Part returns the part of this name.
func (s *Stack) Part(name string) *Part {
	i := slices.IndexFunc(s.parts, func(p *Part) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return s.parts[i]
}

// Stop ends one part, as an outage would.
func (s *Stack) Stop(name string) error { return s.Part(name).stop() }

// StartPart starts a part that Stop has ended, and waits until it is up.
func (s *Stack) StartPart(ctx context.Context, name string) error { return s.Part(name).start(ctx) }

// Close ends everything that Start has started, the last first. An attached
// gate goes on.
func (s *Stack) Close() {
	for _, p := range slices.Backward(s.parts) {
		if p.by == nil {
			_ = p.stop()
		}
	}
}

// Parts are all parts, in the order in which they started.
func (s *Stack) Parts() []*Part { return slices.Clone(s.parts) }
