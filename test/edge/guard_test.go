package edge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const bearer = "Bearer secret-token"

var securityHeaders = []string{
	"Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "X-Xss-Protection", "Referrer-Policy",
}

func TestEveryAnswerCarriesTheSecurityHeadersOnce(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: refuse(401)})
	for _, path := range []string{"/mcp", "/sse", "/health", "/metrics", "/nothing", "/", "/login"} {
		res, _ := g.do(t, "GET", path, "")
		for _, name := range securityHeaders {
			if n := len(res.Header.Values(name)); n != 1 {
				t.Errorf("%s answers %d with %s %d times, want once", path, res.StatusCode, name, n)
			}
		}
	}
}

func TestPlainHTTPRedirectsToTheSameHost(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	res, _ := g.do(t, "GET", g.plain+"/mcp?a=b", "")
	if want := g.url + "/mcp?a=b"; res.StatusCode != 301 || res.Header.Get("Location") != want {
		t.Errorf("%d to %q, want 301 to %q", res.StatusCode, res.Header.Get("Location"), want)
	}
}

func TestClientsIdentityHeadersNeverArrive(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	for _, version := range []int{1, 1, 2} { // all but the first are answered from memory
		if version == 2 {
			g.transport.CloseIdleConnections()
			g.transport = &http.Transport{TLSClientConfig: g.transport.TLSClientConfig.Clone(), ForceAttemptHTTP2: true}
			t.Cleanup(g.transport.CloseIdleConnections)
			g.client.Transport = g.transport
		}
		res, _ := g.do(
			t,
			"POST",
			"/mcp",
			"{}",
			"Authorization",
			bearer,
			"Cookie",
			"a=b",
			"X-User-Id",
			"root",
			"X-User-Email",
			"root@example.com",
			"X-User-Name",
			"root",
			"X-User-Roles",
			"mcp-admin",
			"X-User-Scopes",
			"all",
			"X-User-Assertion",
			"forged",
			"X-Forwarded-For",
			"6.6.6.6",
		)
		if res.ProtoMajor != version {
			t.Errorf("%s, want HTTP/%d", res.Proto, version)
		}
		h := g.lastBridge.Load().Header
		want := map[string]string{
			"X-User-Id": "u-1", "X-User-Email": "alice@example.com", "X-User-Name": "", "X-User-Roles": "mcp-user",
			"X-User-Scopes": "", "X-User-Assertion": "signed", "Authorization": "", "Cookie": "", "X-Forwarded-For": "127.0.0.1",
		}
		for name, value := range want {
			if h.Get(name) != value {
				t.Errorf("bridge got %s %q, want %q", name, h.Get(name), value)
			}
		}
	}
}

func TestAVerdictIsRememberedAndOnlyAGoodOne(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	for range 5 {
		g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
	}
	if n := g.asked.Load(); n > 2 { // a slow machine may cross the two seconds once
		t.Errorf("authsvc was asked %d times for 5 calls", n)
	}
	before := g.asked.Load()
	g.do(t, "POST", "/mcp", "{}", "Authorization", "Bearer other")
	if g.asked.Load() != before+1 {
		t.Error("another credential was answered from memory")
	}
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "DPoP", "proof")
	if g.asked.Load() != before+2 {
		t.Error("a DPoP proof was answered from memory")
	}
	bad := start(t, options{auth: refuse(401)})
	for range 3 {
		bad.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
	}
	if n := bad.asked.Load(); n != 3 {
		t.Errorf("a refusal was remembered: asked %d times for 3 calls", n)
	}
}

// A caller that never pauses is answered from memory all the time, and an
// ending still reaches it when the verdict's second is over.
func TestABusyCallersVerdictEnds(t *testing.T) {
	t.Parallel()
	var ended atomic.Bool
	g := start(t, options{auth: func(w http.ResponseWriter, r *http.Request) {
		if ended.Load() {
			refuse(401)(w, r)
			return
		}
		w.Header().Set("Cache-Control", "private, max-age=1")
		w.Header().Set("X-User-Id", "u-1")
	}})
	hits := 0
	for end := time.Now().Add(wait); hits == 0 && time.Now().Before(end); { // it may stand still for the second
		ended.Store(false)
		g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
		ended.Store(true)
		for begun := time.Now(); ; hits++ {
			sent := time.Since(begun)
			res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
			if res.StatusCode == 401 {
				break
			}
			if sent > 2*time.Second {
				t.Fatalf("still let in %v after the session's end", sent)
			}
		}
	}
	if hits == 0 {
		t.Error("nothing was answered from memory")
	}
}

func TestNothingOutsideReachesTheLocationBehindTheGuard(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Accel-Redirect", "@ask")
		refuse(401)(w, r)
	}})
	for _, path := range []string{"/@ask", "/_gatehouse/auth", "/%40ask", "/login", "/mcp"} {
		g.do(t, "GET", path, "", "X-Accel-Redirect", "@ask")
		if r := g.lastBridge.Load(); r != nil {
			t.Fatalf("%s reached the bridge", path)
		}
	}
}

func TestRefusalsHaveTheirTrueStatus(t *testing.T) {
	t.Parallel()
	const challenge = `Bearer error="invalid_token", ` +
		`resource_metadata="https://x/.well-known/oauth-protected-resource/mcp"`
	cases := map[string]struct {
		auth       http.HandlerFunc
		status     int
		retry, www string
	}{
		"not signed in":    {refuse(401, "WWW-Authenticate", challenge), 401, "", challenge},
		"not enough":       {refuse(403, "WWW-Authenticate", challenge), 403, "", challenge},
		"limited":          {refuse(401, "X-Auth-Status", "429", "Retry-After", "7"), 429, "7", ""},
		"store is gone":    {refuse(401, "X-Auth-Status", "503", "Retry-After", "3"), 503, "3", ""},
		"limited, no word": {refuse(401, "X-Auth-Status", "429"), 429, "5", ""},
		"fault":            {refuse(500), 503, "5", ""},
		"no user":          {refuse(200), 503, "5", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := start(t, options{auth: tc.auth})
			res, body := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
			if res.StatusCode != tc.status || res.Header.Get("Retry-After") != tc.retry {
				t.Errorf("%d, Retry-After %q, want %d, %q", res.StatusCode, res.Header.Get("Retry-After"), tc.status, tc.retry)
			}
			if got := strings.Join(res.Header.Values("WWW-Authenticate"), "|"); got != tc.www {
				t.Errorf("WWW-Authenticate %q, want %q exactly once", got, tc.www)
			}
			if !json.Valid([]byte(body)) {
				t.Errorf("body is not JSON: %s", body)
			}
			if g.lastBridge.Load() != nil {
				t.Error("the bridge was reached")
			}
		})
	}
}

func TestOnlyABrowsersNavigationIsSentToLogin(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: refuse(401)})
	res, _ := g.do(t, "GET", "/mcp?x=1", "", "Accept", "text/html")
	if res.StatusCode != 302 || !strings.HasSuffix(res.Header.Get("Location"), "/login?return_to=/mcp?x=1") {
		t.Errorf("navigation: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	for _, header := range [][]string{{"Accept", "application/json"}, {"Accept", "text/html", "Sec-Fetch-Mode", "cors"}} {
		if res, _ := g.do(t, "GET", "/mcp", "", header...); res.StatusCode != 401 {
			t.Errorf("%v: %d, want 401", header, res.StatusCode)
		}
	}
}

func TestUserLimitIsKeyedOnTheVerifiedUser(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: limits(seldom, 3, 2)})
	refused := 0
	for i := range 20 {
		res, _ := g.do(
			t,
			"POST",
			"/mcp",
			"{}",
			"Authorization",
			bearer,
			"X-User-Email",
			strings.Repeat("x", i+1),
			"X-User-Id",
			strings.Repeat("y", i+1),
		)
		if res.StatusCode == 429 {
			refused++
			if res.Header.Get("Retry-After") == "" || res.Header.Get("RateLimit-Limit") != "4" {
				t.Errorf(
					"429 with Retry-After %q, RateLimit-Limit %q",
					res.Header.Get("Retry-After"),
					res.Header.Get("RateLimit-Limit"),
				)
			}
		}
	}
	if refused < 10 {
		t.Errorf("%d of 20 quick calls were refused, want most", refused)
	}
}

func TestAddressLimitAnswersJSON(t *testing.T) {
	t.Parallel()
	g := start(
		t,
		options{
			limits: strings.ReplaceAll(
				strings.ReplaceAll(limits(1000, 1000, 2), "rate=1000r/s", "rate=1r/m"),
				"burst=1000 nodelay",
				"burst=2 nodelay",
			),
		},
	)
	for range 10 {
		if res, body := g.do(t, "GET", "/mcp", "", "Authorization", bearer); res.StatusCode == 429 {
			if !strings.Contains(body, "Rate limit exceeded") || res.Header.Get("Retry-After") == "" {
				t.Errorf("429 with body %s and Retry-After %q", body, res.Header.Get("Retry-After"))
			}
			return
		}
	}
	t.Error("10 quick requests were never refused")
}

func TestAPostPassesAuthWithItsBodyAndJSONRPCErrorsStay(t *testing.T) {
	t.Parallel()
	g := start(t, options{bridge: func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		w.WriteHeader(404)
		_, _ = w.Write(body.Bytes())
	}})
	res, body := g.do(t, "POST", "/mcp", `{"jsonrpc":"2.0"}`, "Authorization", bearer)
	if res.StatusCode != 404 || body != `{"jsonrpc":"2.0"}` {
		t.Errorf("%d %s, want the bridge's own 404", res.StatusCode, body)
	}
	if n := g.lastAuth.Load().ContentLength; n != 0 {
		t.Errorf("authsvc was promised %d bytes", n)
	}
}

func TestASessionOfAnUnknownNodeIsGone(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	res, _ := g.do(
		t,
		"POST",
		"/mcp",
		"{}",
		"Authorization",
		bearer,
		"Mcp-Session-Id",
		"gone.abcdefgh."+strings.Repeat("a", 26),
	)
	if res.StatusCode != 404 || g.lastBridge.Load() != nil {
		t.Errorf("%d, bridge reached: %t; want 404 and not", res.StatusCode, g.lastBridge.Load() != nil)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" { // a cache may keep a 404 of its own accord
		t.Errorf("Cache-Control %q", got)
	}
}

func TestPublicPathsAreExact(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	for _, path := range []string{"/healthz", "/metricsx", "/mcpx", "/.well-known/other", "/servers/x/other"} {
		if res, body := g.do(t, "GET", path, ""); res.StatusCode != 404 || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s, want a JSON 404", path, res.StatusCode, body)
		}
	}
	if res, _ := g.do(t, "GET", "/metrics", ""); res.StatusCode != 403 {
		t.Errorf("/metrics from loopback: %d, want 403", res.StatusCode)
	}
	if res, _ := g.do(t, "GET", "/mcp", "", "Authorization",
		"Bearer "+strings.Repeat("x", 20000)); res.StatusCode != 431 && res.StatusCode != 400 {
		t.Errorf("a 20 KB token: %d, want 431 or 400", res.StatusCode)
	}
	if res, _ := g.do(t, "GET", "/mcp", "", "Authorization", "Bearer "+strings.Repeat("x", 8000)); res.StatusCode != 200 {
		t.Errorf("an 8 KB token: %d, want 200", res.StatusCode)
	}
}

func TestAuditLogIsJSONForAnyHeaderAndHoldsNoSecret(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	secret := strings.Repeat("s", 26)
	agents := []string{
		"plain",
		"\"quote\\",
		"caf\u00e9",
		"bad\xff\xfe",
		"\xc3",
		"tab\there",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		strings.Repeat("é", 3000),
	}
	for _, agent := range agents {
		g.do(
			t,
			"POST",
			"/message?sessionId=abcdefgh."+secret,
			"{}",
			"Authorization",
			bearer,
			"Cookie",
			"c=cookie-secret",
			"User-Agent",
			agent,
		)
	}
	raw := g.lines(t, len(agents))
	for line := range bytes.Lines(raw) {
		var entry map[string]any
		if err := json.Unmarshal(line, &entry); err != nil || !bytes.Equal(bytes.ToValidUTF8(line, nil), line) {
			t.Errorf("not JSON: %v %q", err, line)
		}
		if entry["user"] != "u-1" || entry["session"] != "abcdefgh" {
			t.Errorf("user %v, session %v", entry["user"], entry["session"])
		}
	}
	for _, word := range []string{secret, "secret-token", "cookie-secret", "sessionId"} {
		if bytes.Contains(raw, []byte(word)) {
			t.Errorf("the log holds %q", word)
		}
	}
}

func TestABrokenHookFailsClosed(t *testing.T) {
	t.Parallel()
	for _, hook := range []string{"strip", "recall", "admit"} {
		g := start(t, options{edit: func(t *testing.T, dir string) {
			path := filepath.Join(dir, "lua", "gatehouse", "guard.lua")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			broken := strings.Replace(string(text), "function _M."+hook+"()", "function _M."+hook+"()\n    error('broken')", 1)
			if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
		}})
		res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
		if res.StatusCode != 503 || g.lastBridge.Load() != nil {
			t.Errorf("%s broken: %d, bridge reached: %t; want 503 and not", hook, res.StatusCode, g.lastBridge.Load() != nil)
		}
	}
}
