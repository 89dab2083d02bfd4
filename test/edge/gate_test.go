// Package edge holds the tests of nginx/ and lua/: each starts a real nginx
// from the repository's files, with an authsvc and a bridge of its own that
// answer what the case needs. It must never need Keycloak or Redis.
package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/stack"
)

const wait = 10 * time.Second

// gate is a running nginx with what stands behind it.
type gate struct {
	dir, url, plain string
	client          *http.Client
	asked           atomic.Int64 // questions to authsvc
	lastAuth        atomic.Pointer[http.Request]
	lastBridge      atomic.Pointer[http.Request]
}

type options struct {
	auth   http.HandlerFunc
	bridge http.HandlerFunc
	limits string
	edit   func(t *testing.T, dir string) // after rendering
}

func limits(rate, burst, ttl int) string {
	return fmt.Sprintf(`limit_req_zone $binary_remote_addr zone=mcp_global:1m rate=1000r/s;
limit_req_zone $binary_remote_addr zone=mcp_keycloak:1m rate=50r/s;
limit_req zone=mcp_global burst=1000 nodelay;
init_by_lua_block { require("gatehouse.init").setup { user_rate = %d, user_burst = %d, verdict_ttl = %d } }
client_max_body_size 4m;
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
	g := &gate{dir: t.TempDir()}
	if o.auth == nil {
		o.auth = allow
	}
	if o.bridge == nil {
		o.bridge = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }
	}
	if o.limits == "" {
		o.limits = limits(1000, 1000, 2)
	}
	auth := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			g.asked.Add(1)
			g.lastAuth.Store(r.Clone(context.Background()))
		}
		o.auth(w, r)
	})
	bridge := serve(t, func(w http.ResponseWriter, r *http.Request) {
		g.lastBridge.Store(r.Clone(context.Background()))
		o.bridge(w, r)
	})
	cert := filepath.Join(g.dir, "cert.pem")
	key := filepath.Join(g.dir, "key.pem")
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost")
	https, plain := freePort(t), freePort(t)
	err := stack.RenderNginx(filepath.Join("..", ".."), g.dir, stack.NginxValues{
		HTTPS: https, HTTP: plain, Cert: cert, Key: key,
		Bridge: bridge, BridgeAdmin: bridge, Authsvc: auth, Limits: o.limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.edit != nil {
		o.edit(t, g.dir)
	}
	g.url, g.plain = fmt.Sprintf("https://localhost:%d", https), fmt.Sprintf("http://localhost:%d", plain)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the certificate is a test's own
	t.Cleanup(transport.CloseIdleConnections)
	g.client = &http.Client{Transport: transport, Timeout: wait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	g.launch(t, fmt.Sprintf("127.0.0.1:%d", https))
	return g
}

// launch checks the configuration, starts nginx and waits until it listens.
func (g *gate) launch(t *testing.T, addr string) {
	t.Helper()
	args := []string{"-p", g.dir, "-c", filepath.Join(g.dir, "nginx.conf"), "-g", "daemon off;"}
	run(t, "nginx", append([]string{"-t", "-q"}, args[:4]...)...)
	cmd := exec.Command("nginx", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(g.dir, "error.log"))
			t.Logf("error.log:\n%s", log)
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
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return strings.TrimPrefix(s.URL, "http://")
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
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
