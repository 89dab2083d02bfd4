package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/stack"
)

// A call that has no answer yet when its old worker must go is logged without a
// status: nginx writes 000, which is no number in JSON.
func TestACallCutByAReloadIsLoggedAsJSON(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	g := start(t, options{
		bridge: func(_ http.ResponseWriter, r *http.Request) {
			reached <- struct{}{}
			<-r.Context().Done()
		},
		edit: replaced("nginx.conf", "worker_shutdown_timeout 60s", "worker_shutdown_timeout 1s"),
	})
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		req, _ := http.NewRequest("GET", g.url+"/mcp", nil)
		req.Header.Set("Authorization", bearer)
		if res, err := g.client.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-reached
	g.reload(t)
	<-cut
	if line := g.logged(t, "access.log", `"/mcp"`); !json.Valid([]byte(line)) {
		t.Errorf("not JSON: %s", line)
	}
}

// An error_page in a location drops all of the server's.
func TestPagesOfTheirOwnStillRefuseInJSON(t *testing.T) {
	t.Parallel()
	g := start(t, options{
		auth: func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		edit: replaced("site/metrics.conf", "deny all", "allow all"),
	})
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/metrics", "", 503},
		{"POST", "/metrics", strings.Repeat("x", 5<<20), 413},
		{"POST", "/health", strings.Repeat("x", 5<<20), 413},
	} {
		res, body := g.do(t, c.method, c.path, c.body, "Expect", "100-continue")
		if res.StatusCode != c.status || !json.Valid([]byte(body)) {
			t.Errorf("%s %s: %d %.60q, want %d in JSON", c.method, c.path, res.StatusCode, body, c.status)
		}
	}
}

// Whoever has one IPv6 address has 2^64 of them: the limit is for the network.
func TestAnIPv6NetworkIsOneAddress(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: patient(shipped(t)), auth: refuse(401), values: stack.NginxValues{
		Proxies: "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Forwarded-For;\n",
	}})
	for _, c := range []struct {
		address string // %d: another in each request
		limited bool
	}{
		{"2001:db8:1:2:%d::1", true},
		{"2001:db8::%d:1", true},
		{"2001:db8:2:%d::1", false},
		{"198.51.100.%d", false},
		{"::ffff:203.0.113.%d", false},
	} {
		send := func(i int) *http.Response {
			res, _ := g.do(t, "POST", "/mcp", "{}", "X-Forwarded-For", fmt.Sprintf(c.address, i))
			return res
		}
		if c.limited {
			if !limited(send) {
				t.Errorf("requests in a row from %s, none refused", c.address)
			}
			continue
		}
		for i := range 60 {
			if res := send(i + 1); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("request %d from %s: %s", i+1, c.address, res.Status)
			}
		}
	}
}

// Behind Docker's proxy all have one address: whoever calls too often there is
// limited alone, and those without a credential together.
func TestAnAddressOfManyLimitsEachCredential(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: patient(shipped(t)), auth: refuse(401), edit: func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "site", "one_address.conf"), "127.0.0.1 1;\n")
	}})
	for name, header := range map[string][]string{
		"a token":  {"Authorization", "Bearer " + strings.Repeat("same.", 20) + "busy"},
		"a cookie": {"Cookie", "s=" + strings.Repeat("b", 50)},
		"nothing":  nil,
	} {
		if !limited(func(int) *http.Response { res, _ := g.do(t, "POST", "/mcp", "{}", header...); return res }) {
			t.Errorf("requests in a row with %s: none limited", name)
		}
	}
	for range 15 {
		if res, _ := g.do(t, "POST", "/mcp", "{}",
			"Authorization", "Bearer "+strings.Repeat("same.", 20)+"calm"); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a calm colleague: %s", res.Status)
		}
	}
}

// Requests that nginx cannot read are refused for what they are, in JSON, and
// leave nothing in the error log: their line may hold a secret.
func TestUnreadableRequestsAreSaidClearly(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	long := strings.Repeat("a", 20000)
	const host = " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	requests := map[string]int{
		"garbage\r\n":      http.StatusBadRequest,
		"OPTIONS *" + host: http.StatusBadRequest,
		"CONNECT localhost:1" + host: byVersion(
			t,
			http.StatusBadRequest,
			since{1, 30, 0, http.StatusMethodNotAllowed},
		),
		"GET /../mcp" + host:                       http.StatusBadRequest,
		"GET /mcp%00" + host:                       http.StatusBadRequest,
		"GET /callback?code=" + long + host:        http.StatusRequestURITooLong,
		"GET /mcp HTTP/3.0\r\n":                    http.StatusHTTPVersionNotSupported,
		"GET /mcp" + host + "Cookie: " + long:      http.StatusRequestHeaderFieldsTooLarge,
		"GET /mcp" + host + "Transfer-Encoding: x": http.StatusNotImplemented,
	}
	for request, want := range requests {
		answer := g.raw(t, request+"\r\n\r\n")
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		if statusOf(answer) != want || !json.Valid([]byte(body)) || !strings.Contains(head, "X-Frame-Options: DENY") {
			t.Errorf("%.30q: %.200q, want %d in JSON", request, answer, want)
		}
	}
	if log := string(g.lines(t, len(requests))); strings.Contains(log, "unreadable") {
		t.Errorf("what was not sent is called unreadable:\n%s", log)
	}
	if text, err := os.ReadFile(filepath.Join(g.dir, "error.log")); err != nil ||
		strings.Contains(string(text), "client:") {
		t.Errorf("%v, the error log says:\n%.2000s", err, text)
	}
}

// Keycloak tells of each ended session once: a limit for people must refuse none.
func TestNoLogoutOfTheProviderIsRefusedByALimit(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: patient(shipped(t))})
	for i := range 100 {
		if res, _ := g.do(t, "POST", "/backchannel-logout", "logout_token=x"); res.StatusCode != http.StatusOK {
			t.Fatalf("number %d: %s", i+1, res.Status)
		}
	}
}

// A byte that steers a terminal does not reach who reads the log.
func TestTheLogSteersNoTerminal(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	g.raw(t, "GET /\xc2\x9b31mred HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a\xc2\x9b31m\r\nConnection: close\r\n\r\n")
	g.raw(t, "GET /caf\u00e9\u00a0 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: caf\u00e9\r\nConnection: close\r\n\r\n")
	log := string(g.lines(t, 2))
	if strings.Contains(log, "\u009b") || strings.Count(log, "caf\u00e9") != 2 {
		t.Errorf("%q", log)
	}
}

// No cache keeps a JSON answer, whoever made it.
func TestNoCacheKeepsAJSONAnswer(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/auth":
			onlyBearer(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "public, max-age=3600")
		}
	}, bridge: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		w.WriteHeader(map[bool]int{true: http.StatusForbidden, false: http.StatusOK}[r.Header.Get("Origin") != ""])
	}})
	for _, c := range []struct {
		method, path string
		header       []string
		want         string
	}{
		{"POST", "/mcp", []string{"Authorization", bearer, "Accept", "application/json"}, "no-store"},
		{"POST", "/mcp", []string{"Authorization", bearer, "Accept", "application/json; charset=utf-8"}, "no-store"},
		{"POST", "/mcp", []string{
			"Authorization", bearer, "Accept", "application/json", "Origin", "https://evil.example.com",
		}, "no-store"},
		{"POST", "/mcp", nil, "no-store"},
		{"GET", "/nothing", nil, "no-store"},
		{"GET", "/metrics", nil, "no-store"},
		{"GET", "/.well-known/oauth-protected-resource", nil, "public, max-age=3600"}, // it says so itself
		{"POST", "/mcp", []string{"Authorization", bearer, "Accept", "text/event-stream"}, ""},
	} {
		res, _ := g.do(t, c.method, c.path, "", c.header...)
		if got := strings.Join(res.Header.Values("Cache-Control"), "|"); got != c.want {
			t.Errorf("%s %s %v: %d, Cache-Control %q, want %q", c.method, c.path, c.header, res.StatusCode, got, c.want)
		}
	}
}

// Of two session ids this gate and the bridge could each believe another.
func TestTwoSessionIdsAreRefused(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	for _, ids := range []string{
		"Mcp-Session-Id: a\r\nMcp-Session-Id: b", "Mcp-Session-Id: a\r\nmcp-session-id: a", "Mcp-Session-Id: a, b",
	} {
		answer := g.raw(t, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: "+bearer+"\r\n"+ids+"\r\n"+
			"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		if statusOf(answer) != http.StatusBadRequest || !strings.Contains(body, "Mcp-Session-Id") {
			t.Errorf("%q: %.300q, want 400", ids, answer)
		}
	}
	if g.lastBridge.Load() != nil {
		t.Error("the bridge was asked")
	}
}

// A path with a slash behind it is the same path, also to authsvc.
func TestASlashBehindAPathChangesNothing(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	for _, path := range []string{"/mcp", "/sse", "/message", "/servers/one/mcp", "/servers/one/sse"} {
		res, _ := g.do(t, "POST", path+"/?a=b", "{}", "Authorization", bearer)
		if r := g.lastBridge.Load(); res.StatusCode != http.StatusOK || r.RequestURI != path+"?a=b" {
			t.Errorf("%s/: %s, the bridge was asked for %s", path, res.Status, r.RequestURI)
		}
		if asked := g.lastAuth.Load().Header.Get("X-Original-Uri"); asked != path {
			t.Errorf("%s/: authsvc was asked for %s", path, asked)
		}
	}
	for _, path := range []string{"/mcp//x", "/health/", "/servers/one/mcp/x"} {
		if res, _ := g.do(t, "POST", path, "{}", "Authorization", bearer); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, res.Status)
		}
	}
}

// Who lacks a client certificate that the operator asks for is told that.
func TestAMissingClientCertificateIsSaid(t *testing.T) {
	t.Parallel()
	g := start(t, options{edit: func(t *testing.T, dir string) {
		replace(
			t,
			filepath.Join(dir, "site", "certificate.conf"),
			"ssl_certificate ",
			"ssl_client_certificate "+dir+"/cert.pem; ssl_verify_client on; ssl_certificate ",
		)
	}})
	res, body := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "client certificate") ||
		!json.Valid([]byte(body)) {
		t.Errorf("%s %s", res.Status, body)
	}
	plain, err := g.client.Post(strings.Replace(g.url, "https:", "http:", 1)+"/mcp", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Body.Close() }()
	text, err := io.ReadAll(plain.Body)
	if err != nil || !strings.Contains(string(text), "This port speaks HTTPS") {
		t.Errorf("plain HTTP to this port: %s, %v", text, err)
	}
}
