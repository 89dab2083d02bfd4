// Package edge holds the tests of nginx/ and lua/: each starts a real nginx
// from the repository's files, with an authsvc and a bridge of its own that
// answer what the case needs. It must never need Keycloak or Redis.
package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// wait is for what comes, however slow the machine is; hang for what never does.
const wait, hang = time.Minute, 4 * time.Second

// gate is a running nginx with what stands behind it.
type gate struct {
	dir, url, plain string
	client          *http.Client
	transport       *http.Transport
	ports           [2]int       // https, http
	asked           atomic.Int64 // questions to authsvc
	conns           atomic.Int64 // connections to the bridges
	authConns       atomic.Int64
	nginx           *exec.Cmd
	patience        time.Duration // of a probe: wait, and hang where it is to find the fault
	lastAuth        atomic.Pointer[http.Request]
	lastBridge      atomic.Pointer[http.Request]
}

type options struct {
	auth    http.HandlerFunc
	bridge  http.HandlerFunc
	limits  string
	addrs   []string // bridges that run already
	bridges int      // how many, named a, b, c; 0 is one without a name
	days    int      // of the certificate, 0 is 1
	values  stack.NginxValues
	edit    func(t *testing.T, dir string) // after rendering
}

// seldom is a rate at which no call comes back while a test lasts, however slow
// the machine is: what is refused is counted then, not timed.
const seldom = 0.01

func limits(rate float64, burst, ttl int) string {
	return fmt.Sprintf(`limit_req_zone $binary_remote_addr zone=mcp_global:1m rate=1000r/s;
limit_req_zone $binary_remote_addr zone=mcp_keycloak:1m rate=50r/s;
limit_req zone=mcp_global burst=1000 nodelay;
init_by_lua_block { require("gatehouse.init").setup { user_rate = %g, user_burst = %d, `+
		`verdict_ttl = %d, user_wait = 0, refusal_wait = 0 } }
`, rate, burst, ttl)
}

// allow is a verdict that may be remembered for a minute.
func allow(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("X-User-Id", "u-1")
	h.Set("X-User-Email", "alice@example.com")
	h.Set("X-User-Roles", "mcp-user")
	h.Set("X-User-Assertion", "signed")
	h.Set("Cache-Control", "private, max-age=60")
	h.Set("Content-Length", "0")
}

func refuse(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
	}
}

func start(t *testing.T, o options) *gate {
	t.Helper()
	g, auth, bridges := behind(t, &o)
	v := o.values
	v.HTTPS, v.HTTP, v.Cert, v.Key = g.ports[0], g.ports[1], g.dir+"/cert.pem", g.dir+"/key.pem"
	v.Bridge, v.BridgeAdmin, v.Authsvc, v.Limits = bridges[0], auth, auth, o.limits
	if len(bridges) > 1 {
		v.Nodes = map[string]string{}
		for i, addr := range bridges {
			v.Nodes[string(rune('a'+i))] = addr
		}
	}
	if err := stack.RenderNginx(filepath.Join("..", ".."), g.dir, v); err != nil {
		t.Fatal(err)
	}
	if o.edit != nil {
		o.edit(t, g.dir)
	}
	g.launch(t, fmt.Sprintf("127.0.0.1:%d", g.ports[0]))
	return g
}

// behind starts what stands behind nginx, and makes a certificate.
func behind(t *testing.T, o *options) (g *gate, auth string, bridges []string) {
	t.Helper()
	g = &gate{dir: t.TempDir(), ports: [2]int{freeport.Port(t), freeport.Port(t)}, patience: wait}
	if o.auth == nil {
		o.auth = allow
	}
	if o.bridge == nil {
		o.bridge = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }
	}
	if o.limits == "" {
		o.limits = limits(1000, 1000, 2)
	}
	auth = serveCounted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			g.asked.Add(1)
			g.lastAuth.Store(r.Clone(context.Background()))
		}
		o.auth(w, r)
	}, counting(&g.authConns))
	if o.addrs != nil {
		bridges = o.addrs
	}
	for i := range max(o.bridges, 1) - len(o.addrs) {
		bridges = append(bridges, serveCounted(t, func(w http.ResponseWriter, r *http.Request) {
			g.lastBridge.Store(r.Clone(context.Background()))
			w.Header().Set("X-Bridge", string(rune('a'+i)))
			o.bridge(w, r)
		}, counting(&g.conns)))
	}
	run(
		t,
		"openssl",
		"req",
		"-x509",
		"-newkey",
		"ec",
		"-pkeyopt",
		"ec_paramgen_curve:P-256",
		"-nodes",
		"-keyout",
		g.dir+"/key.pem",
		"-out",
		g.dir+"/cert.pem",
		"-days",
		strconv.Itoa(max(o.days, 1)),
		"-subj",
		"/CN=localhost",
		"-addext",
		"subjectAltName=DNS:localhost,IP:127.0.0.1",
	)
	g.url, g.plain = fmt.Sprintf("https://localhost:%d", g.ports[0]), fmt.Sprintf("http://localhost:%d", g.ports[1])
	g.transport = &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	} //nolint:gosec // the certificate is a test's own
	t.Cleanup(g.transport.CloseIdleConnections)
	g.client = &http.Client{
		Transport:     g.transport,
		Timeout:       wait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g, auth, bridges
}

// launch checks the configuration, starts nginx and waits until it listens.
func (g *gate) launch(t *testing.T, addr string) {
	t.Helper()
	args := []string{"-p", g.dir, "-c", filepath.Join(g.dir, "nginx.conf"), "-g", "daemon off;"}
	run(t, "nginx", append([]string{"-t", "-q"}, args[:4]...)...)
	cmd := exec.Command("nginx", args...)
	g.nginx = cmd
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(g.dir, "error.log"))
			t.Logf("error.log:\n%s", text)
		}
	})
	for end := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen on %s: %v", addr, err)
		}
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	return serveCounted(t, h, nil)
}

func serveCounted(t *testing.T, h http.HandlerFunc, watch func(net.Conn, http.ConnState)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = watch // httptest calls it after its own
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return strings.TrimPrefix(s.URL, "http://")
}

func counting(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// do sends one request; header is name, value, name, value.
func (g *gate) do(t *testing.T, method, target string, body string, header ...string) (*http.Response, string) {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = g.url + target
	}
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host") // "" is the target's
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// raw sends bytes through TLS as they are, and returns all that comes back.
func (g *gate) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(g.url, "https://"), g.transport.TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

// statusOf is the status of a raw answer, 0 where it is none.
func statusOf(answer string) (status int) {
	_, _ = fmt.Sscanf(answer, "HTTP/1.1 %d", &status)
	return status
}

// limited sends requests one after another and reports whether one was refused. The
// rate must be one of patient: as shipped, a slow machine would never be too fast.
func limited(send func(i int) *http.Response) bool {
	for i, end := 1, time.Now().Add(wait); time.Now().Before(end); i++ {
		if send(i).StatusCode == http.StatusTooManyRequests {
			return true
		}
	}
	return false
}

func (g *gate) reload(t *testing.T) {
	t.Helper()
	run(t, "nginx", "-s", "reload", "-p", g.dir, "-c", filepath.Join(g.dir, "nginx.conf"))
}
