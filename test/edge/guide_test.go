package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// naive is a gate as the guide writes it, with auth_request added in the way
// that comes to mind first: each trap below is seen to snap on it.
const naive = `
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log warn;
events { }
http {
    log_format mcp_json escape=json '{"user_email":"$http_x_user_email","status":$status}';
    access_log %[1]s/access.log mcp_json;
    client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; scgi_temp_path %[1]s/s; uwsgi_temp_path %[1]s/u;
    limit_req_zone $http_x_user_email zone=mcp_per_user:1m rate=1r/s;
    upstream bridges { %[3]s keepalive 8; }
    server {
        listen 127.0.0.1:%[2]d;
        server_name first.example.com second.example.com;
        add_header X-Frame-Options DENY always;
        location / {
            limit_req zone=mcp_per_user burst=3 nodelay;
            limit_req_status 429;
            auth_request /auth;
            proxy_pass http://bridges;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
        location /redirect { return 301 https://$server_name$request_uri; }
        location /health {
            add_header Content-Type text/plain;
            proxy_pass http://bridges/health;
        }
        location = /auth {
            internal;
            proxy_pass http://%[4]s/auth;
            proxy_pass_request_body off;
        }
        proxy_intercept_errors on;
        error_page 502 503 504 = @gateway_error;
        location @gateway_error { default_type application/json; return 503 '{"error": "Service Unavailable"}'; }
    }
}
`

// startNaive starts the guide's gate in front of the bridges.
func startNaive(t *testing.T, auth http.HandlerFunc, bridges ...string) *gate {
	t.Helper()
	g, port, servers := &gate{dir: t.TempDir()}, freePort(t), ""
	for _, addr := range bridges {
		servers += "server " + addr + "; "
	}
	write(t, filepath.Join(g.dir, "nginx.conf"), fmt.Sprintf(naive, g.dir, port, servers, serve(t, auth)))
	g.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	g.plain = g.url + "/redirect"
	g.client = &http.Client{Timeout: wait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	g.launch(t, fmt.Sprintf("127.0.0.1:%d", port))
	return g
}

// thorough reads the body that it was promised before it answers.
func thorough(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		return
	}
	authorised(w, r)
}

// authorised lets in whoever sends a credential.
func authorised(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		refuse(http.StatusUnauthorized)(w, r)
		return
	}
	allow(w, r)
}

// trap is one fault of the guide's text: nil where the gate does not fall in.
type trap struct {
	spring func(t *testing.T, g *gate) error
	auth   http.HandlerFunc // ours
	naive  http.HandlerFunc // the guide's, "" for the same
}

func TestTrapsOfTheGuide(t *testing.T) {
	for name, c := range map[string]trap{
		"a limit keyed on a header of the client":      {spring: springClientsKey},
		"a limit that counts before sign-in":           {spring: springLimitBeforeAuth},
		"add_header that drops the parent's":           {spring: springDroppedHeader},
		"an error page in place of JSON-RPC":           {spring: springErrorPage},
		"Connection: upgrade on every request":         {spring: springUpgrade},
		"a log of what the client says that it is":     {spring: springLog},
		"429 of the authoriser becomes 500":            {spring: spring429, auth: refuse(401, "X-Auth-Status", "429", "Retry-After", "1"), naive: refuse(429)},
		"503 of the authoriser becomes 500":            {spring: spring503, auth: refuse(401, "X-Auth-Status", "503", "Retry-After", "1"), naive: refuse(503)},
		"a POST that hangs in auth_request":            {spring: springPost, auth: thorough, naive: thorough},
		"X-Forwarded-For of the client":                {spring: springForwardedFor},
		"a redirect to the first of the names":         {spring: springServerName},
		"a token of 9 KB that does not fit":            {spring: springLargeToken},
		"a reload that keeps old workers for a stream": {spring: springReload},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.auth == nil {
				c.auth, c.naive = authorised, authorised
			}
			bridge := trapBridge()
			ours := start(t, options{auth: c.auth, bridge: bridge, limits: limits(1, 3, 2), edit: func(t *testing.T, dir string) {
				write(t, filepath.Join(dir, "site", "names.conf"), "server_name localhost 127.0.0.1 first.example.com second.example.com;\n")
				shorten(t, filepath.Join(dir, "nginx.conf"))
			}})
			if err := c.spring(t, ours); err != nil {
				t.Errorf("this gate: %v", err)
			}
			if err := c.spring(t, startNaive(t, c.naive, serve(t, bridge))); err == nil {
				t.Error("the guide's gate does not fall in: the test proves nothing")
			}
		})
	}
}

// shorten makes the drain of old workers a second, for a test's patience.
func shorten(t *testing.T, conf string) {
	t.Helper()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	const before = "worker_shutdown_timeout 60s;"
	if !bytes.Contains(text, []byte(before)) {
		t.Fatalf("no %s in nginx.conf", before)
	}
	write(t, conf, strings.Replace(string(text), before, "worker_shutdown_timeout 1s;", 1))
}

// trapBridge tells what it got, and refuses on demand.
func trapBridge() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sse" {
			alive(w, r)
			return
		}
		if r.Header.Get("X-Busy") != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"too many sessions"}}`)
			return
		}
		w.Header().Set("X-Seen-Connection", r.Header.Get("Connection"))
		w.Header().Set("X-Seen-Forwarded-For", r.Header.Get("X-Forwarded-For"))
		_, _ = io.WriteString(w, "ok")
	}
}

func springClientsKey(t *testing.T, g *gate) error {
	for i := range 20 {
		res, _ := g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-User-Email", fmt.Sprintf("%d@example.com", i))
		if res.StatusCode == http.StatusTooManyRequests {
			return nil
		}
	}
	return errors.New("20 quick calls under 20 names of the client's own, and no 429")
}

func springLimitBeforeAuth(t *testing.T, g *gate) error {
	for range 20 {
		g.do(t, "POST", "/mcp", "", "X-User-Email", "alice@example.com")
	}
	if res, _ := g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-User-Email", "alice@example.com"); res.StatusCode != http.StatusOK {
		return fmt.Errorf("a stranger used up the user's calls: %s", res.Status)
	}
	return nil
}

func springDroppedHeader(t *testing.T, g *gate) error {
	if res, _ := g.do(t, "GET", "/health", ""); res.Header.Get("X-Frame-Options") == "" {
		return errors.New("/health has no X-Frame-Options")
	}
	return nil
}

func springErrorPage(t *testing.T, g *gate) error {
	if _, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-Busy", "1"); !strings.Contains(body, "too many sessions") {
		return fmt.Errorf("the bridge's own answer became %s", body)
	}
	return nil
}

func springUpgrade(t *testing.T, g *gate) error {
	if res, _ := g.do(t, "POST", "/mcp", "", "Authorization", bearer); res.Header.Get("X-Seen-Connection") != "" {
		return fmt.Errorf("the bridge got Connection: %s", res.Header.Get("X-Seen-Connection"))
	}
	return nil
}

func springLog(t *testing.T, g *gate) error {
	g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-User-Email", "eve@example.com")
	if log := g.logged(t, "access.log", `"status":200`); strings.Contains(log, "eve@") {
		return fmt.Errorf("the log believes the client: %s", log)
	}
	return nil
}

func spring429(t *testing.T, g *gate) error { return springStatus(t, g, http.StatusTooManyRequests) }
func spring503(t *testing.T, g *gate) error { return springStatus(t, g, http.StatusServiceUnavailable) }

func springStatus(t *testing.T, g *gate, want int) error {
	if res, _ := g.do(t, "POST", "/mcp", "", "Authorization", bearer); res.StatusCode != want {
		return fmt.Errorf("%s, want %d", res.Status, want)
	}
	return nil
}

func springPost(t *testing.T, g *gate) error {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/mcp", strings.NewReader(`{"jsonrpc":"2.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bearer)
	res, err := g.client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func springForwardedFor(t *testing.T, g *gate) error {
	res, _ := g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-Forwarded-For", "6.6.6.6")
	if seen := res.Header.Get("X-Seen-Forwarded-For"); seen != "127.0.0.1" {
		return fmt.Errorf("the bridge got X-Forwarded-For: %s", seen)
	}
	return nil
}

func springServerName(t *testing.T, g *gate) error {
	req, err := http.NewRequest(http.MethodGet, g.plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "second.example.com"
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if to := res.Header.Get("Location"); !strings.HasPrefix(to, "https://second.example.com") {
		return fmt.Errorf("second.example.com was sent to %s", to)
	}
	return nil
}

func springLargeToken(t *testing.T, g *gate) error {
	if res, _ := g.do(t, "POST", "/mcp", "", "Authorization", "Bearer "+strings.Repeat("x", 9000)); res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", res.Status)
	}
	return nil
}

func springReload(t *testing.T, g *gate) error {
	stream := g.stream(t)
	run(t, "nginx", "-s", "reload", "-p", g.dir, "-c", filepath.Join(g.dir, "nginx.conf"))
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if !stream() {
			return nil
		}
	}
	return errors.New("5 s after the reload the old worker still serves the stream")
}

// One call that a bridge drops ejects it for ten seconds, for everybody.
func TestOneDroppedCallEjectsNoBridge(t *testing.T) {
	t.Parallel()
	var counts [2]atomic.Int64
	bridge := func(i int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			counts[i].Add(1)
			if r.Header.Get("X-Drop") != "" {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "ok")
		}
	}
	a, b := serve(t, bridge(0)), serve(t, bridge(1))
	ours := start(t, options{limits: unlimited, edit: func(t *testing.T, dir string) {
		twoBridges(t, filepath.Join(dir, "site", "upstreams.conf"), a, b)
	}})
	for name, c := range map[string]struct {
		g     *gate
		holds bool
	}{"this gate": {ours, true}, "the guide's": {startNaive(t, authorised, a, b), false}} {
		for range 2 { // one for each bridge
			c.g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-Drop", "1", "X-User-Email", "x")
		}
		before := counts[0].Load() + counts[1].Load()
		for i := range 6 {
			c.g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-User-Email", fmt.Sprint(i))
		}
		if served := counts[0].Load() + counts[1].Load() - before; (served == 6) != c.holds {
			t.Errorf("%s: %d of 6 calls reached a bridge after two were dropped", name, served)
		}
	}
}

// twoBridges puts both into the group that any bridge may answer for.
func twoBridges(t *testing.T, file, a, b string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "upstream gatehouse_bridge {") {
			lines[i] = "upstream gatehouse_bridge { server " + a + " max_fails=0; server " + b + " max_fails=0; keepalive 8; }\n"
		}
	}
	write(t, file, strings.Join(lines, ""))
}

// A call that a bridge began and dropped is not made a second time elsewhere.
func TestADroppedCallIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	drop := func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	}
	a, b := serve(t, drop), serve(t, drop)
	g := start(t, options{edit: func(t *testing.T, dir string) {
		twoBridges(t, filepath.Join(dir, "site", "upstreams.conf"), a, b)
	}})
	if res, _ := g.do(t, "POST", "/mcp", "", "Authorization", bearer); res.StatusCode != http.StatusServiceUnavailable || calls.Load() != 1 {
		t.Errorf("%s after %d calls, want 503 after one", res.Status, calls.Load())
	}
}

// Names of bridges are looked up while nginx runs: a container that comes back
// at another address is found. The guide's proxy_pass asks once, at the start.
func TestANameThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	old, port := listenAt(t, "127.0.0.2:0", "old")
	listenAt(t, "127.0.0.3:"+port, "new")
	dns, management := freePort(t), freePort(t)
	background(t, nil, "pebble-challtestsrv", "-defaultIPv4", old, "-defaultIPv6", "", "-dns01", fmt.Sprintf("127.0.0.1:%d", dns),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-management", fmt.Sprintf("127.0.0.1:%d", management))
	until(t, "the name server answers", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", management))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	g := start(t, options{edit: func(t *testing.T, dir string) {
		file := filepath.Join(dir, "site", "upstreams.conf")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		const before = `map $gatehouse_node $gatehouse_bridge { "" gatehouse_bridge;`
		if !strings.Contains(string(text), before) {
			t.Fatalf("no %q", before)
		}
		write(t, file, fmt.Sprintf("resolver 127.0.0.1:%d valid=1s ipv6=off;\n", dns)+
			strings.Replace(string(text), before, `map $gatehouse_node $gatehouse_bridge { "" bridge.test:`+port+";", 1))
	}})
	if _, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer); body != "old" {
		t.Fatalf("before the move: %s", body)
	}
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/set-default-ipv4", management), "application/json", strings.NewReader(`{"ip":"127.0.0.3"}`))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("move the name: %v, %v", res, err)
	}
	_ = res.Body.Close()
	until(t, "calls go to the new address", func() bool {
		_, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer)
		return body == "new"
	})
}

// listenAt serves a bridge that says its name.
func listenAt(t *testing.T, addr, says string) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, says) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	host, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
