package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/test/freeport"
	"gatehouse/test/issuer"
	"gatehouse/test/stack"
)

// oneGate is a gate of the page with an authsvc of its own.
type oneGate struct {
	name, url, base string // base is the path of url
	cookie          string // the name of its session's
	session         string // what that held after the sign-in
	token           string
}

// Each gate signs people in by itself, by host and below a path, and what one
// gave nobody else takes: the pages stay below the path, the token is for the
// path, the cookie has another name.
func TestEachGateSignsInForItself(t *testing.T) {
	t.Parallel()
	idp, err := issuer.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(idp.Close)
	var gates []*oneGate
	var team *http.Request // the last that team-a's bridge got
	servers := map[string]string{
		"127.0.0.1:3000": named(t, "first"), "127.0.0.1:3100": named(t, "second"),
		"127.0.0.1:3200": serve(t, func(w http.ResponseWriter, r *http.Request) {
			team = r.Clone(context.Background())
			_, _ = io.WriteString(w, "third")
		}),
	}
	g := start(t, options{values: stack.NginxValues{ServerNames: "localhost"}, edit: func(t *testing.T, dir string) {
		gates = pageGates(t, dir, idp, servers)
		severalGates(t, dir, servers)
		// The operator's own, of the host's gate alone.
		write(t, filepath.Join(dir, "site", "server", "app.conf"),
			"location /app/ { include gatehouse/location/protect.conf; proxy_pass http://"+servers["127.0.0.1:3000"]+"; }\n")
	}})
	for _, one := range gates {
		one.signIn(t, g)
		if one.token, err = idp.AccessTo(one.url + "/mcp"); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range gates {
		at.announces(t, g)
		for _, of := range gates {
			want := http.StatusUnauthorized
			if at == of {
				want = http.StatusOK
			}
			for what, header := range map[string][]string{
				"the token":                          {"Authorization", "Bearer " + of.token},
				"the cookie under this one's name":   {"Cookie", at.cookie + "=" + of.session},
				"the cookie as a browser would send": {"Cookie", of.cookie + "=" + of.session},
			} {
				if res, body := at.do(t, g, "POST", "/mcp", header...); res.StatusCode != want {
					t.Errorf("%s of %s at %s: %s %s, want %d", what, of.name, at.name, res.Status, body, want)
				}
			}
		}
	}
	below, session := gates[2], gates[2].cookie+"="+gates[2].session
	for path, want := range map[string]int{
		"/servers/one/mcp": 200, "/mcp/": 200, "/sse": 200, "/message": 200, "/health": 200,
		"": 200, "/": 200, "/account": 200,
		"/nothing": 404, "/account/nothing": 404, "-b/mcp": 404, "/team-a/mcp": 404, "/app/": 404,
		"/_gatehouse/auth": 404, "/_gatehouse/bad_request": 404, "/auth": 404, "/x/../_gatehouse/auth": 404,
	} {
		if res, body := below.do(t, g, "GET", path, "Cookie", session); res.StatusCode != want {
			t.Errorf("%s%s: %s %s, want %d", below.base, path, res.Status, body, want)
		}
	}
	res, body := below.do(t, g, "GET", "/mcp?a=b", "Cookie", session)
	if res.StatusCode != 200 || team.RequestURI != "/mcp?a=b" || team.Header.Get("X-Forwarded-Prefix") != "/team-a" {
		t.Errorf("the bridge got %s, prefix %q: %s", team.RequestURI, team.Header.Get("X-Forwarded-Prefix"), body)
	}
}

// pageGates starts the authsvc of each gate and adds it to the servers.
func pageGates(t *testing.T, dir string, idp *issuer.Issuer, servers map[string]string) []*oneGate {
	t.Helper()
	listen, err := os.ReadFile(filepath.Join(dir, "site", "listen_https.conf"))
	if err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`127\.0\.0\.1(:\d+)`).FindStringSubmatch(string(listen))[1]
	program := filepath.Join(t.TempDir(), "authsvc")
	run(t, "go", "build", "-o", program, filepath.Join("..", "..", "authsvc"))
	gates := []*oneGate{
		{name: "first", url: "https://localhost" + port, cookie: "__Host-gatehouse"},
		{name: "second", url: "https://" + secondHost + port, cookie: "__Host-gatehouse"},
		{name: "third", url: "https://localhost" + port + "/team-a", base: "/team-a", cookie: "__Host-gatehouse.team-a"},
	}
	for i, page := range []string{"127.0.0.1:4180", "127.0.0.1:4280", "127.0.0.1:4380"} {
		servers[page] = startAuthsvc(t, program, gates[i].url, idp)
	}
	return gates
}

func startAuthsvc(t *testing.T, program, public string, idp *issuer.Issuer) string {
	t.Helper()
	addr, internal := fmt.Sprintf("127.0.0.1:%d", freeport.Port(t)), fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))
	var said strings.Builder
	cmd := exec.Command(program, "--listen="+addr, "--internal-listen="+internal, "--public-url="+public,
		"--issuer="+idp.URL, "--client-id="+issuer.Client, "--client-secret="+issuer.Secret,
		"--allow-any-user", "--no-keycloak-admin")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("authsvc of %s:\n%s", public, said.String())
		}
	})
	for end := time.Now().Add(wait); ; <-time.After(10 * time.Millisecond) {
		res, err := http.Get("http://" + internal + "/health/ready")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatalf("authsvc of %s is not ready: %v", public, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return addr
}

// clientOfAll reaches every host of the page in this nginx.
func (g *gate) clientOfAll(t *testing.T) *http.Client {
	t.Helper()
	transport := g.transport.Clone()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, strings.Replace(addr, secondHost, "localhost", 1))
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: wait}
}

// signIn goes to the gate's address as a browser does, and wants to come back to
// it signed in, and its page to lead nowhere else.
func (one *oneGate) signIn(t *testing.T, g *gate) {
	t.Helper()
	browser := g.clientOfAll(t)
	browser.Jar, _ = cookiejar.New(nil)
	read := func(path string) (*http.Response, string) {
		req, err := http.NewRequest("GET", one.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		res, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}
	if res, body := read("/mcp?x=1"); res.Request.URL.String() != one.url+"/mcp?x=1" || body != one.name {
		t.Fatalf("%s: came to %s, %s: %s", one.url, res.Request.URL, res.Status, body)
	}
	u, _ := url.Parse(one.url)
	for _, c := range browser.Jar.Cookies(u) {
		if c.Name == one.cookie {
			one.session = c.Value
		}
	}
	if one.session == "" {
		t.Fatalf("%s: no cookie %s", one.url, one.cookie)
	}
	_, page := read("/account")
	links := regexp.MustCompile(`(?:href|action)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	for _, link := range links {
		if !strings.HasPrefix(link[1], one.base+"/") && !strings.HasPrefix(link[1], "?") {
			t.Errorf("%s/account leads to %s", one.url, link[1])
		}
	}
	if len(links) < 3 || !strings.Contains(page, one.url+"/mcp") {
		t.Errorf("%s/account has %d links: %s", one.url, len(links), page)
	}
	if res, _ := read("/account/style.css"); res.StatusCode != http.StatusOK {
		t.Errorf("%s/account/style.css: %s", one.url, res.Status)
	}
}

func (one *oneGate) do(t *testing.T, g *gate, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	return g.ask(t, method, one.url+path, header...)
}

// ask sends one request to any host of the page.
func (g *gate) ask(t *testing.T, method, target string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := g.clientOfAll(t)
	client.CheckRedirect = g.client.CheckRedirect
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

// announces follows a challenge to the metadata, as a client does (RFC 9728, 5).
func (one *oneGate) announces(t *testing.T, g *gate) {
	t.Helper()
	res, _ := one.do(t, g, "POST", "/mcp")
	want := strings.TrimSuffix(one.url, one.base) + "/.well-known/oauth-protected-resource" + one.base + "/mcp"
	got := res.Header.Get("WWW-Authenticate")
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(got, `"`+want+`"`) {
		t.Fatalf("%s: %s, challenge %s; want %s in it", one.url, res.Status, got, want)
	}
	res, body := g.ask(t, "GET", want)
	var document struct{ Resource string }
	if err := json.Unmarshal([]byte(body), &document); err != nil || document.Resource != one.url+"/mcp" {
		t.Errorf("%s: %s %s", want, res.Status, body)
	}
}
