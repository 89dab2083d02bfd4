package edge

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// replace edits one of the rendered files.
func replace(t *testing.T, file, before, after string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), before) {
		t.Fatalf("%s has no %q", file, before)
	}
	write(t, file, strings.ReplaceAll(string(text), before, after))
}

// The guide's first form: nobody signs in. One include differs.
func TestWithoutSignIn(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: refuse(401), edit: func(t *testing.T, dir string) {
		replace(t, filepath.Join(dir, "conf.d", "gatehouse.conf"), "location/bridge.conf", "location/bridge_open.conf")
	}})
	res, body := g.do(
		t,
		"POST",
		"/mcp",
		"{}",
		"X-User-Email",
		"root@example.com",
		"X-User-Assertion",
		"forged",
		"Authorization",
		bearer,
	)
	if res.StatusCode != http.StatusOK || body != "ok" || g.asked.Load() != 0 {
		t.Errorf("%s %s, authsvc asked %d times; want the bridge and nobody asked", res.Status, body, g.asked.Load())
	}
	h := g.lastBridge.Load().Header
	for _, name := range []string{"X-User-Email", "X-User-Assertion", "Authorization"} {
		if h.Get(name) != "" {
			t.Errorf("the bridge got the client's own %s", name)
		}
	}
	if res.Header.Get("X-Frame-Options") == "" {
		t.Error("no security headers")
	}
}

// Behind a load balancer that speaks the PROXY protocol: its word counts.
func TestPROXYProtocol(t *testing.T) {
	t.Parallel()
	g := start(t, options{values: stack.NginxValues{
		Listen: "proxy_protocol", Proxies: "set_real_ip_from 127.0.0.1;\nreal_ip_header proxy_protocol;\n",
	}})
	addr := strings.TrimPrefix(g.url, "https://")
	transport := g.client.Transport.(*http.Transport)
	transport.DialTLS = func(string, string) (net.Conn, error) { //nolint:staticcheck // one connection of a test
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, "PROXY TCP4 203.0.113.9 127.0.0.1 5000 443\r\n"); err != nil {
			return nil, err
		}
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), nil //nolint:gosec // the certificate is a test's own
	}
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "X-Forwarded-For", "6.6.6.6")
	if got := g.lastBridge.Load().Header.Get("X-Real-Ip"); got != "203.0.113.9" {
		t.Errorf("X-Real-IP is %s, want the balancer's word", got)
	}
	if log := g.logged(t, "access.log", `"/mcp"`); !strings.Contains(log, `"client_ip":"203.0.113.9"`) {
		t.Errorf("the log says %s", log)
	}
}

// Behind another nginx that mounts the gate at /team-a/ and strips the prefix.
func TestBehindAnotherProxyAtASubPath(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: refuse(401), values: stack.NginxValues{
		Prefix: "/team-a", Proxies: "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n",
	}})
	outer, dir := freeport.Port(t), t.TempDir()
	write(
		t,
		filepath.Join(dir, "nginx.conf"),
		fmt.Sprintf(`worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log; events { }
http {
    access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;
    fastcgi_temp_path %[1]s/f; scgi_temp_path %[1]s/s; uwsgi_temp_path %[1]s/u;
    server {
        listen 127.0.0.1:%[2]d;
        location /team-a/ {
            proxy_pass %[3]s/;
            proxy_http_version 1.1;
            proxy_set_header Host localhost;
            proxy_set_header X-Forwarded-For 198.51.100.7;
            proxy_buffering off;
        }
    }
}
`, dir, outer, g.url),
	)
	(&gate{dir: dir}).launch(t, fmt.Sprintf("127.0.0.1:%d", outer))
	site := fmt.Sprintf("http://127.0.0.1:%d/team-a", outer)
	res, _ := g.do(t, "GET", site+"/mcp?x=1", "", "Accept", "text/html")
	if to := res.Header.Get("Location"); to != "/team-a/login?return_to=/team-a/mcp?x=1" {
		t.Errorf("sent to %s, want the login below the prefix", to)
	}
	auth := g.lastAuth.Load().Header
	if uri, ip := auth.Get("X-Original-Uri"), auth.Get("X-Real-Ip"); uri != "/team-a/mcp" || ip != "198.51.100.7" {
		t.Errorf("authsvc was told %s from %s", uri, ip)
	}
	open := start(t, options{values: stack.NginxValues{Prefix: "/team-a"}})
	open.do(t, "GET", "/sse", "", "Authorization", bearer)
	if got := open.lastBridge.Load().Header.Get("X-Forwarded-Prefix"); got != "/team-a" {
		t.Errorf("the bridge was told the prefix %q", got)
	}
}

func TestPreflightIsAnsweredBeforeSignInForListedOriginsOnly(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: refuse(401), values: stack.NginxValues{
		Origins: `map $http_origin $gatehouse_origin { default ""; "https://app.example.com" $http_origin; }`,
	}})
	res, _ := g.do(t, "OPTIONS", "/mcp", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")
	if res.StatusCode != http.StatusNoContent ||
		res.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Mcp-Session-Id") {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	res, _ = g.do(t, "OPTIONS", "/mcp", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization,content-type,mcp-param-region")
	if allowed := strings.ToLower(res.Header.Get("Access-Control-Allow-Headers")); !strings.Contains(
		allowed,
		"mcp-param-region",
	) {
		t.Errorf("a tool's own header is not allowed: %q", allowed)
	}
	res, _ = g.do(t, "POST", "/mcp", "{}", "Origin", "https://app.example.com")
	if !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") ||
		res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s exposes %q", res.Status, res.Header.Get("Access-Control-Expose-Headers"))
	}
	res, _ = g.do(t, "OPTIONS", "/mcp", "", "Origin", "https://evil.example.com", "Access-Control-Request-Method", "POST")
	if res.Header.Get("Access-Control-Allow-Origin") != "" || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger's preflight: %s %v", res.Status, res.Header)
	}
}

func TestTLS11IsRefused(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	conn, err := tls.Dial(
		"tcp",
		strings.TrimPrefix(g.url, "https://"),
		&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true},
	) //nolint:gosec // to be refused
	if err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func TestAHeaderWithUnderscoresIsDropped(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "X_User_Email", "root@example.com")
	for name := range g.lastBridge.Load().Header {
		if strings.Contains(name, "_") {
			t.Errorf("the bridge got %s", name)
		}
	}
}

// Requests that two servers could read differently: the bridge must see no
// second one, whatever the first becomes (RFC 9112, 11.2).
func TestSmugglingShapesReachNobody(t *testing.T) {
	t.Parallel()
	const inner = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: 1\r\nContent-Length: 2\r\n\r\n{}"
	head := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + bearer + "\r\n"
	for name, raw := range map[string]string{
		"length and chunked": head + fmt.Sprintf(
			"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", 5+len(inner), inner),
		"two lengths":           head + fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
		"a folded header":       head + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"chunked, odd spelling": head + "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
		"a negative length":     head + "Content-Length: -1\r\n\r\n" + inner,
		"a space before colon":  head + "Content-Length : 0\r\n\r\n",
		"two hosts":             head + "Host: evil.example.com\r\nContent-Length: 0\r\n\r\n",
		"a bare line feed":      "POST /mcp HTTP/1.1\nHost: localhost\nX: a\rContent-Length: 0\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			var smuggled atomic.Bool
			g := start(t, options{bridge: func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Smuggled") != "" {
					smuggled.Store(true)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, "ok")
			}})
			conn, err := tls.Dial(
				"tcp",
				strings.TrimPrefix(g.url, "https://"),
				&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}},
			) //nolint:gosec // the certificate is a test's own
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(wait))
			if _, err := io.WriteString(conn, raw); err != nil {
				t.Fatal(err)
			}
			answers := 0
			for reader := bufio.NewReader(conn); ; answers++ {
				res, err := http.ReadResponse(reader, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if res.StatusCode == http.StatusOK && answers > 0 {
					t.Errorf("a second answer: %s", res.Status)
				}
				_ = conn.SetDeadline(time.Now().Add(2 * time.Second)) // what else comes, comes soon
			}
			if answers == 0 {
				t.Error("no answer: nothing was shown")
			}
			if smuggled.Load() {
				t.Error("the bridge saw the request inside the request")
			}
		})
	}
}

// gixy reads the configuration for known faults.
func TestGixyFindsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := stack.RenderNginx(filepath.Join("..", ".."), dir, stack.NginxValues{
		HTTPS: 8443, HTTP: 8080, Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"),
		Bridge: "127.0.0.1:3000", BridgeAdmin: "127.0.0.1:3001", Authsvc: "127.0.0.1:4180",
	})
	if err != nil {
		t.Fatal(err)
	}
	// Its parser knows no possessive quantifier, which is there to match in one go.
	replace(t, filepath.Join(dir, "gatehouse", "http", "log.conf"), "*+", "*")
	replace(t, filepath.Join(dir, "gatehouse", "http", "maps.conf"), "*+", "*")
	// It does not see that the map lets no slash and no leading dot into the
	// socket's name (sockets_test.go shows it).
	write(t, filepath.Join(dir, "gatehouse", "server", "servers.conf"), "")
	out, err := exec.Command(gixy(t), "--skips", accepted, filepath.Join(dir, "nginx.conf")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No issues found") {
		t.Errorf("gixy: %v\n%s", err, out)
	}
}

// accepted are checks of gixy that do not fit: the variables of proxy_pass name
// upstream groups, and where one names a host, site/paths.conf has the resolver.
const accepted = "missing_resolver"

const gixyVersion = "gixy-ng==0.2.59"

// gixy installs it once, into the tree's cache.
func gixy(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256([]byte(gixyVersion))
	venv, err := filepath.Abs(filepath.Join("..", "..", ".cache", "venv", "gixy-"+hex.EncodeToString(sum[:6])))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(venv, "bin", "gixy")
	if _, err := os.Stat(program); err != nil {
		run(t, "python3", "-m", "venv", "--clear", venv)
		run(t, filepath.Join(venv, "bin", "pip"), "install", "--quiet", gixyVersion)
	}
	return program
}
