package edge

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/test/stack"
)

// withLocations adds an operator's own locations to the gate.
func withLocations(locations string) func(*testing.T, string) {
	const first = "    location = /mcp "
	return replaced("conf.d/gatehouse.conf", first, locations+"\n"+first)
}

// app is an upstream of the operator's own; it keeps the last request.
type app struct {
	addr string
	last atomic.Pointer[http.Request]
}

func startApp(t *testing.T, says string) *app {
	t.Helper()
	a := &app{}
	a.addr = serve(t, func(w http.ResponseWriter, r *http.Request) {
		a.last.Store(r.Clone(r.Context()))
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write([]byte(says))
	})
	return a
}

// Every kind of own location answers itself, whether authsvc was asked or the
// verdict was remembered, and to nobody whom authsvc refuses.
func TestAnOwnLocationAnswersItself(t *testing.T) {
	t.Parallel()
	mine, second := startApp(t, "app"), startApp(t, "second bridge")
	const guard = "include gatehouse/location/protect.conf;"
	locations := `
location /app/  { ` + guard + ` proxy_pass http://` + mine.addr + `; }
location /sub/  { ` + guard + ` proxy_pass http://` + mine.addr + `/deeper/; }
location /cut/  { ` + guard + ` rewrite ^/cut(/.*)$ $1 break; proxy_pass http://` + mine.addr + `; }
location = /two { ` + guard + ` include gatehouse/location/identity.conf; include gatehouse/location/stream.conf;
                  proxy_pass http://` + second.addr + `; }
location /files/ { ` + guard + ` root ROOT; }
location /tried/ { ` + guard + ` root ROOT; try_files $uri @tried; }
location @tried  { return 200 "tried"; }
location /said/  { ` + guard + ` content_by_lua_block { ngx.say("said") } }
`
	o := options{auth: onlyBearer, edit: func(t *testing.T, dir string) {
		if err := os.MkdirAll(filepath.Join(dir, "www", "files"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "www", "files", "page"), "file")
		withLocations(strings.ReplaceAll(locations, "ROOT", filepath.Join(dir, "www")))(t, dir)
	}}
	g := start(t, o)
	for path, want := range map[string]string{
		"/app/a%2Fb": "app", "/sub/x": "app", "/cut/x": "app", "/two": "second bridge",
		"/files/page": "file", "/tried/none": "tried", "/said/": "said\n",
	} {
		for _, when := range []string{"asked", "remembered"} {
			asked := g.asked.Load()
			res, body := g.do(t, "GET", path, "", "Authorization", bearer)
			if res.StatusCode != http.StatusOK || body != want {
				t.Errorf("%s, %s: %s %q, want %q", path, when, res.Status, body, want)
			}
			if fresh := g.asked.Load() > asked; when == "asked" && !fresh {
				t.Errorf("%s: authsvc was not asked for it", path)
			}
			if path == "/app/a%2Fb" && mine.last.Load().RequestURI != path {
				t.Errorf("%s: the app was asked for %s", when, mine.last.Load().RequestURI)
			}
		}
		if res, body := g.do(t, "GET", path, ""); res.StatusCode != http.StatusUnauthorized || body == want {
			t.Errorf("%s for a stranger: %s %q", path, res.Status, body)
		}
	}
	if g.lastBridge.Load() != nil {
		t.Error("the gate's own bridge was asked")
	}
}

// onlyBearer lets the holder of one token in.
func onlyBearer(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != bearer {
		refuse(401, "WWW-Authenticate", "Bearer x")(w, r)
		return
	}
	allow(w, r)
}

// Credentials and identity headers of the client reach no upstream, whatever a
// location says; one that asks for them by name gets its own, not the gate's.
func TestAnOwnUpstreamGetsWhatItsLocationAsksFor(t *testing.T) {
	t.Parallel()
	mine := startApp(t, "app")
	to := "proxy_pass http://" + mine.addr + ";"
	g := start(t, options{edit: withLocations(`
location /bare/     { ` + to + ` }
location /headers/  { proxy_set_header Host $host; ` + to + ` }
location /guarded/  { include gatehouse/location/protect.conf; proxy_set_header X-A b; ` + to + ` }
location /identity/ { include gatehouse/location/protect.conf; include gatehouse/location/identity.conf; ` + to + ` }
location /back/     { include gatehouse/location/credentials.conf; ` + to + ` }
`)})
	sent := []string{
		"Authorization", bearer, "DPoP", "proof", "Cookie", "a=1; __Host-gatehouse=secret; b=2",
		"X-User-Id", "root", "X-User-Email", "root@example.com", "X-User-Name", "root",
		"X-User-Roles", "mcp-admin", "X-User-Scopes", "all", "X-User-Assertion", "forged",
	}
	for _, c := range []struct {
		path string
		want map[string]string // of what was sent, all else is empty
	}{
		{"/bare/", nil}, {"/headers/", nil}, {"/guarded/", nil},
		{"/identity/", map[string]string{
			"X-User-Id": "u-1", "X-User-Email": "alice@example.com", "X-User-Roles": "mcp-user",
			"X-User-Assertion": "signed",
		}},
		{"/back/", map[string]string{"Authorization": bearer, "DPoP": "proof", "Cookie": "a=1; b=2"}},
	} {
		res, _ := g.do(t, "GET", c.path, "", sent...)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", c.path, res.Status)
		}
		for i := 0; i < len(sent); i += 2 {
			if got := mine.last.Load().Header.Get(sent[i]); got != c.want[sent[i]] {
				t.Errorf("%s: the upstream got %s %q, want %q", c.path, sent[i], got, c.want[sent[i]])
			}
		}
	}
}

// The gate's cookie goes to no upstream, wherever it stands among others.
func TestOtherCookiesArriveWithoutTheGates(t *testing.T) {
	t.Parallel()
	mine := startApp(t, "app")
	g := start(
		t,
		options{
			edit: withLocations(
				`location /back/ { include gatehouse/location/credentials.conf; proxy_pass http://` + mine.addr + `; }`,
			),
		},
	)
	for sent, want := range map[string]string{
		"__Host-gatehouse=s": "", "__Host-gatehouse=s; a=1": "a=1", "a=1; __Host-gatehouse=s": "a=1", "a=1; __Host-gatehouse=s; b=2; c=3": "a=1; b=2; c=3",
		"a=1; b=2": "a=1; b=2", "x__Host-gatehouse=s": "x__Host-gatehouse=s", "__Host-gatehouse-login=s; a=1": "a=1",
		"__Host-gatehouse=s; a=1; __Host-gatehouse.team-a=t; __Host-gatehouse-login-1=u": "a=1",
	} {
		g.do(t, "GET", "/back/", "", "Cookie", sent)
		if got := mine.last.Load().Header.Get("Cookie"); got != want {
			t.Errorf("%q arrives as %q, want %q", sent, got, want)
		}
	}
}

// A location may take more than the server does, whether its caller is
// remembered or not.
func TestALocationMayTakeALargerBody(t *testing.T) {
	t.Parallel()
	mine := startApp(t, "app")
	g := start(t, options{edit: withLocations(`location /large/ {
    include gatehouse/location/protect.conf; client_max_body_size 8m; proxy_pass http://` + mine.addr + `; }`)})
	for range 2 {
		if res, _ := g.do(t, "POST", "/large/", strings.Repeat("x", 6<<20),
			"Authorization", bearer); res.StatusCode != http.StatusOK {
			t.Errorf("6 MB: %s", res.Status)
		}
	}
	if res, _ := g.do(t, "POST", "/large/", strings.Repeat("x", 9<<20),
		"Authorization", bearer, "Expect", "100-continue"); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("9 MB: %s, want 413", res.Status)
	}
}

// `satisfy any` lets an address stand in for the sign-in, and nothing else.
func TestSatisfyAnyMeansWhatItSays(t *testing.T) {
	t.Parallel()
	mine := startApp(t, "app")
	location := func(path, rule string) string {
		return "location " + path + " { satisfy any; " + rule +
			" include gatehouse/location/protect.conf; include gatehouse/location/identity.conf;" +
			" proxy_pass http://" + mine.addr + "; }\n"
	}
	g := start(
		t,
		options{
			auth: onlyBearer,
			edit: withLocations(
				location("/here/", "allow 127.0.0.0/8; deny all;") + location("/there/", "allow 192.0.2.0/24; deny all;"),
			),
		},
	)
	if res, _ := g.do(t, "GET", "/here/", "", "X-User-Id", "root"); res.StatusCode != http.StatusOK ||
		mine.last.Load().Header.Get("X-User-Id") != "" {
		t.Errorf("from a listed address: %s as %q, want in as nobody", res.Status, mine.last.Load().Header.Get("X-User-Id"))
	}
	for range 2 {
		if res, _ := g.do(t, "GET", "/there/", "", "Authorization", bearer); res.StatusCode != http.StatusOK ||
			mine.last.Load().Header.Get("X-User-Id") != "u-1" {
			t.Errorf("from another, signed in: %s as %q", res.Status, mine.last.Load().Header.Get("X-User-Id"))
		}
	}
	if res, _ := g.do(t, "GET", "/there/", ""); res.StatusCode != http.StatusUnauthorized ||
		res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("from another, not signed in: %s, want the challenge", res.Status)
	}
}

// Two gates in one nginx: who may enter one is a stranger to the other.
func TestAVerdictIsOneGatesAndOneResources(t *testing.T) {
	t.Parallel()
	refusing := serve(t, refuse(401))
	g := start(t, options{auth: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Original-Uri") == "/servers/secret/mcp" {
			refuse(403)(w, r)
			return
		}
		allow(w, r)
	}, values: stack.NginxValues{
		ServerNames: "localhost 127.0.0.1 other.example.com",
	}, edit: func(t *testing.T, dir string) {
		replace(t, filepath.Join(dir, "site", "upstreams.conf"), `map "" $gatehouse_authsvc { default gatehouse_authsvc; }`,
			`map $host $gatehouse_authsvc { other.example.com "`+refusing+`"; default gatehouse_authsvc; }`)
	}})
	for range 2 {
		if res, _ := g.do(t, "POST", "/mcp", "{}",
			"Authorization", bearer, "Cookie", "a=b"); res.StatusCode != http.StatusOK {
			t.Fatalf("at its own gate: %s", res.Status)
		}
	}
	other := "POST /mcp HTTP/1.1\r\nHost: other.example.com\r\nAuthorization: " + bearer +
		"\r\nCookie: a=b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	if status := statusOf(g.raw(t, other)); status != http.StatusUnauthorized {
		t.Errorf("at another gate: %d, want 401", status)
	}
	if res, _ := g.do(t, "POST", "/servers/secret/mcp", "{}",
		"Authorization", bearer, "Cookie", "a=b"); res.StatusCode != http.StatusForbidden {
		t.Errorf("at another resource: %s, want 403", res.Status)
	}
	if n := g.asked.Load(); n > 3 { // a slow machine may cross the two seconds once
		t.Errorf("authsvc was asked %d times", n)
	}
}

// An error_page of a location's own stands beside the gate's refusals, where it
// includes them again.
func TestAnOwnErrorPageStandsBesideTheRefusals(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			refuse(401, "X-Auth-Status", "503", "Retry-After", "3")(w, r)
			return
		}
		onlyBearer(w, r)
	}, edit: withLocations(`
location /paged/ {
    include gatehouse/location/protect.conf;
    error_page 404 = @mine; include gatehouse/location/refusals.conf;
    content_by_lua_block { ngx.exit(404) }
}
location @mine { return 404 "mine"; }
`)})
	if res, body := g.do(t, "GET", "/paged/", "", "Authorization", bearer); res.StatusCode != http.StatusNotFound ||
		body != "mine" {
		t.Errorf("its own page: %s %q", res.Status, body)
	}
	if res, _ := g.do(t, "GET", "/paged/", "",
		"Authorization", "Bearer other"); res.StatusCode != http.StatusUnauthorized ||
		res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("refused: %s, challenge %q", res.Status, res.Header.Get("WWW-Authenticate"))
	}
	if res, _ := g.do(t, "GET", "/paged/", ""); res.StatusCode != http.StatusServiceUnavailable ||
		res.Header.Get("Retry-After") != "3" {
		t.Errorf("an outage: %s, want 503", res.Status)
	}
}
