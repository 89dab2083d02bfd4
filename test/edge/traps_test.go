package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// trap is a thing that the guide's configuration gets wrong, alone or once
// sign-in is added to it in the obvious way. probe answers what is wrong: it
// must find nothing at our gate and something at the guide's, so that each
// probe is known to fail.
type trap struct {
	ours, guide options
	holes       holes
	probe       func(t *testing.T, g *gate) error
}

func TestTraps(t *testing.T) {
	t.Parallel()
	for name, tc := range traps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tc.probe(t, start(t, tc.ours)); err != nil {
				t.Errorf("the gate: %v", err)
			}
			if err := tc.probe(t, startGuide(t, tc.guide, tc.holes)); err == nil {
				t.Error("the guide's version passes too: this probe proves nothing")
			}
		})
	}
}

// both is the same stand-ins behind both.
func both(o options, h holes, probe func(*testing.T, *gate) error) trap {
	return trap{ours: o, guide: o, holes: h, probe: probe}
}

func traps() map[string]trap {
	echoBody := options{auth: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // as an authoriser does that looks at bodies
		allow(w, r)
	}}
	slow := options{bridges: 2, bridge: slowBridge}
	slowOurs, slowGuide := slow, slow
	slowOurs.edit = replaced("gatehouse/location/stream.conf", "proxy_read_timeout 86400s", "proxy_read_timeout 1s")
	slowGuide.edit = replaced("nginx.conf", "proxy_read_timeout 86400s", "proxy_read_timeout 1s")
	retried := trap{ours: slowOurs, guide: slowGuide, probe: runsOnce}
	ejected := trap{ours: slowOurs, guide: slowGuide, probe: bothBridgesAnswer}
	limited := options{auth: refuse(401, "X-Auth-Status", "429", "Retry-After", "7")}
	tight := options{limits: limits(seldom, 3, 2)}
	underscores := signedIn
	underscores.http += "underscores_in_headers on;\n"
	late := signedIn
	late.http += "limit_req_zone $gate_user zone=by_user:1m rate=1r/s;\n"
	late.location += "limit_req zone=by_user;\n"
	twice := signedIn
	twice.location += "add_header WWW-Authenticate $gate_challenge always;\n"
	return map[string]trap{
		"a client's identity header is believed":            both(options{}, holes{}, noIdentityFromOutside),
		"the user's limit is keyed on what the client says": both(tight, holes{}, quickCallsAreLimited),
		"a limit keyed on auth_request_set never fires": both(
			options{limits: limits(seldom, 1, 2)},
			late,
			twoOfThreeAreLimited,
		),
		"429 of the authoriser is lost": both(limited, signedIn, wantStatus("POST", "/mcp", 429, bearer)),
		"a fault of the authoriser is a bare 500": both(
			options{auth: refuse(503)},
			signedIn,
			wantStatus("POST", "/mcp", 503, bearer),
		),
		"the challenge stands twice": both(
			options{auth: refuse(401, "WWW-Authenticate", "Bearer x")},
			twice,
			challengedOnce,
		),
		"a POST through auth_request hangs":           both(echoBody, signedIn, postIsAnswered),
		"a control byte in a header is a 500":         both(options{}, signedIn, controlByteIsNoFault),
		"a slow call is run twice":                    retried,
		"a slow call ejects its bridge":               ejected,
		"the bridge's own JSON-RPC error is replaced": both(options{bridge: jsonRPCFault}, holes{}, faultArrivesWhole),
		"X-Forwarded-For of the client goes on":       both(options{}, holes{}, forwardedForIsOurs),
		"X_User_Email arrives":                        both(options{}, underscores, noUnderscoreTwin),
		"X-XSS-Protection switches a leaky filter on": both(
			options{},
			holes{},
			wantHeader("/mcp", "X-XSS-Protection", "0"),
		),
		"the redirect goes to the first server_name": both(options{}, holes{}, redirectKeepsTheName),
		"an add_header in a location drops the others": both(
			options{},
			holes{},
			wantHeader("/health", "X-Frame-Options", "DENY"),
		),
		"an 8 KB token is refused": both(
			options{},
			holes{},
			wantStatus("POST", "/mcp", 200, "Bearer "+strings.Repeat("x", 8192)),
		),
		"a 20 KB token is refused with a page": both(options{}, holes{}, hugeTokenIsSaidClearly),
		"/healthz is /health": both(
			options{},
			holes{},
			wantStatus("GET", "/healthz", 404, bearer),
		),
		"unknown well-known paths are answered": both(
			options{},
			holes{},
			wantStatus("GET", "/.well-known/other", 404, ""),
		),
		"each call opens a connection":                     both(options{}, signedIn, connectionsAreKept),
		"bytes that are not UTF-8 break the audit log":     both(options{}, holes{}, logIsJSON),
		"the audit log names whom the client claims to be": both(options{}, holes{}, logNamesTheVerified),
		"an old worker stays for its streams":              reloaded(),
	}
}

func wantStatus(method, path string, status int, authorization string) func(*testing.T, *gate) error {
	return func(t *testing.T, g *gate) error {
		res, _ := g.do(t, method, path, "{}", "Authorization", authorization)
		if res.StatusCode != status {
			return fmt.Errorf("%s %s: %d, want %d", method, path, res.StatusCode, status)
		}
		return nil
	}
}

func wantHeader(path, name, value string) func(*testing.T, *gate) error {
	return func(t *testing.T, g *gate) error {
		res, _ := g.do(t, "GET", path, "", "Authorization", bearer)
		if got := res.Header.Get(name); got != value {
			return fmt.Errorf("%s has %s %q, want %q", path, name, got, value)
		}
		return nil
	}
}

func noIdentityFromOutside(t *testing.T, g *gate) error {
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "X-User-Email", "root@example.com")
	if got := g.lastBridge.Load().Header.Get("X-User-Email"); got == "root@example.com" {
		return fmt.Errorf("the bridge was told %s", got)
	}
	return nil
}

// quickCallsAreLimited sends more than the user's burst, each call in a new name.
func quickCallsAreLimited(t *testing.T, g *gate) error {
	for i := range 15 {
		res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "X-User-Email", fmt.Sprint(i))
		if res.StatusCode == 429 {
			return nil
		}
	}
	return fmt.Errorf("15 calls at once in 15 names, and no 429")
}

func twoOfThreeAreLimited(t *testing.T, g *gate) error {
	for range 5 {
		if res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer); res.StatusCode == 429 {
			return nil
		}
	}
	return fmt.Errorf("5 calls at once at 1 a second, and no 429")
}

func challengedOnce(t *testing.T, g *gate) error {
	res, _ := g.do(t, "POST", "/mcp", "{}")
	if n := len(res.Header.Values("WWW-Authenticate")); n != 1 {
		return fmt.Errorf("%d challenges", n)
	}
	return nil
}

func postIsAnswered(_ *testing.T, g *gate) error {
	req, err := http.NewRequest("POST", g.url+"/mcp", strings.NewReader(`{"jsonrpc":"2.0"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", bearer)
	client := *g.client
	client.Timeout = g.patience
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func controlByteIsNoFault(t *testing.T, g *gate) error {
	answer := g.raw(
		t,
		"GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: "+bearer+"\r\nX-Junk: a\x01b\r\nConnection: close\r\n\r\n",
	)
	if status := statusOf(answer); status >= 500 || status == 0 {
		return fmt.Errorf("answered %.40q", answer)
	}
	return nil
}

// slowBridge takes longer than the test's read timeout where it is asked to.
func slowBridge(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Query().Get("slow") != "" {
		ran(r)
		select {
		case <-r.Context().Done():
		case <-time.After(wait):
		}
		return
	}
	_, _ = io.WriteString(w, "ok")
}

// ran tells the test that counts that a bridge took the request.
func ran(r *http.Request) {
	if to, err := url.Parse(r.URL.Query().Get("slow")); err == nil {
		if res, err := http.Get(to.String()); err == nil {
			_ = res.Body.Close()
		}
	}
}

func (g *gate) slowCall(t *testing.T) (runs int) {
	t.Helper()
	count := make(chan struct{}, 8)
	counter := serve(t, func(http.ResponseWriter, *http.Request) { count <- struct{}{} })
	g.do(t, "GET", "/mcp?slow="+url.QueryEscape("http://"+counter), "", "Authorization", bearer)
	return len(count)
}

func runsOnce(t *testing.T, g *gate) error {
	if n := g.slowCall(t); n != 1 {
		return fmt.Errorf("the bridges ran it %d times", n)
	}
	return nil
}

func bothBridgesAnswer(t *testing.T, g *gate) error {
	g.slowCall(t)
	seen := map[string]bool{}
	for range 8 {
		res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
		seen[res.Header.Get("X-Bridge")] = true
	}
	if !seen["a"] || !seen["b"] {
		return fmt.Errorf("only %v answer", seen)
	}
	return nil
}

const fault = `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"too many sessions"}}`

func jsonRPCFault(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, fault)
}

func faultArrivesWhole(t *testing.T, g *gate) error {
	if _, body := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer); body != fault {
		return fmt.Errorf("body %s", body)
	}
	return nil
}

func forwardedForIsOurs(t *testing.T, g *gate) error {
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "X-Forwarded-For", "6.6.6.6")
	if got := g.lastBridge.Load().Header.Get("X-Forwarded-For"); got != "127.0.0.1" {
		return fmt.Errorf("the bridge was told %q", got)
	}
	return nil
}

func noUnderscoreTwin(t *testing.T, g *gate) error {
	g.raw(
		t,
		"GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: "+bearer+"\r\n"+
			"X_User_Email: root@example.com\r\nConnection: close\r\n\r\n",
	)
	if got := g.lastBridge.Load().Header["X_user_email"]; got != nil {
		return fmt.Errorf("the bridge was told %v", got)
	}
	return nil
}

func redirectKeepsTheName(t *testing.T, g *gate) error {
	res, _ := g.do(t, "GET", strings.Replace(g.plain, "localhost", "127.0.0.1", 1)+"/mcp", "")
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || to.Hostname() != "127.0.0.1" {
		return fmt.Errorf("127.0.0.1 is sent to %q", res.Header.Get("Location"))
	}
	return nil
}

func hugeTokenIsSaidClearly(t *testing.T, g *gate) error {
	res, body := g.do(t, "POST", "/mcp", "{}", "Authorization", "Bearer "+strings.Repeat("x", 20000))
	if (res.StatusCode != 431 && res.StatusCode != 400) || !json.Valid([]byte(body)) {
		return fmt.Errorf("%d %.60q", res.StatusCode, body)
	}
	return nil
}

func connectionsAreKept(t *testing.T, g *gate) error {
	for range 10 {
		g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
	}
	if n := g.conns.Load() + g.authConns.Load(); n > 6 {
		return fmt.Errorf("10 calls opened %d connections behind nginx", n)
	}
	return nil
}

func logIsJSON(t *testing.T, g *gate) error {
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "User-Agent", "probe\xff\xfe")
	line := g.logged(t, "access.log", `"status":200`)
	if !utf8.ValidString(line) || !json.Valid([]byte(strings.TrimSpace(line))) {
		return fmt.Errorf("%q", line)
	}
	return nil
}

func logNamesTheVerified(t *testing.T, g *gate) error {
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "X-User-Email", "root@example.com")
	if line := g.logged(t, "access.log", `"status":200`); !strings.Contains(line, "alice@example.com") {
		return fmt.Errorf("%s", line)
	}
	return nil
}

// reloaded: after a reload the old worker ends, though a stream is open.
func reloaded() trap {
	ours := options{
		bridge: alive,
		edit:   replaced("nginx.conf", "worker_shutdown_timeout 60s", "worker_shutdown_timeout 1s"),
	}
	return trap{ours: ours, guide: options{bridge: alive}, probe: func(t *testing.T, g *gate) error {
		flows := g.stream(t)
		g.reload(t)
		for end := time.Now().Add(g.patience); time.Now().Before(end); {
			if !flows() {
				return nil
			}
		}
		return fmt.Errorf("the stream is still held by the old worker")
	}}
}
