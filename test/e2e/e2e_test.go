//go:build e2e

// Package e2e drives the whole gate as its users do: real nginx, Redis and
// Keycloak, both programs, the official Go SDK. One stack serves all tests.
package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

var gate *stack.Stack

// The address limit would count all tests as one caller; the user's limit stays.
const limits = `
map $uri $gatehouse_address { default $binary_remote_addr; }
limit_req_zone $gatehouse_address zone=mcp_global:10m rate=1000r/s;
limit_req_zone $binary_remote_addr zone=mcp_keycloak:1m rate=100r/s;
limit_req zone=mcp_global burst=200 nodelay;
init_by_lua_block { require("gatehouse.init").setup { user_rate = 20, user_burst = 30, verdict_ttl = 2 } }
client_max_body_size 4m;
`

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	root, err := stack.Root()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	gate, err = stack.Start(ctx, stack.Options{
		Dir: dir, Bin: filepath.Join(root, "bin"), Keycloak: os.Getenv("GATEHOUSE_KEYCLOAK"), Limits: limits,
		Up: func(p *stack.Part) { fmt.Printf("%-9s up in %.1f s\n", p.Name, p.Took().Seconds()) },
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer gate.Close()
	return m.Run()
}

type headers struct {
	next http.RoundTripper
	set  map[string]string
}

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h.set {
		r.Header.Set(name, value)
	}
	return h.next.RoundTrip(r)
}

func token(t *testing.T, user string) string {
	t.Helper()
	token, err := gate.Token(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// client sends the headers with each request.
func client(set map[string]string) *http.Client {
	c := gate.HTTPClient()
	c.Transport = headers{c.Transport, set}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func get(t *testing.T, url string, set map[string]string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client(set).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestCallsToolsThroughTheGate(t *testing.T) {
	for user, want := range map[string]string{stack.Alice: "alice@example.com", stack.Bob: "bob@example.com"} {
		c := client(map[string]string{
			"Authorization": "Bearer " + token(t, user),
			// What a client claims of itself must never arrive.
			"X-User-Email": "eve@example.com", "X-User-Roles": "mcp-admin", "X-User-Assertion": "forged",
		})
		for kind, transport := range map[string]mcp.Transport{
			"mcp": &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: c},
			"sse": &mcp.SSEClientTransport{Endpoint: gate.URL + "/sse", HTTPClient: c},
		} {
			t.Run(user+"/"+kind, func(t *testing.T) { drive(t, transport, want, user == stack.Bob) })
		}
	}
}

func drive(t *testing.T, transport mcp.Transport, email string, admin bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	var steps []float64
	c := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			steps = append(steps, r.Params.Progress)
		},
	})
	session, err := c.Connect(ctx, transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	tools, err := session.ListTools(ctx, nil)
	if err != nil || len(tools.Tools) != 4 {
		t.Fatalf("tools = %+v, %v; want 4", tools, err)
	}
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		t.Fatal(err)
	}
	who := res.Content[0].(*mcp.TextContent).Text
	if !strings.Contains(who, email) || strings.Contains(who, "eve@") || strings.Contains(who, "mcp-admin") != admin {
		t.Errorf("whoami = %q, want %s and admin %v", who, email, admin)
	}
	params := &mcp.CallToolParams{Name: "countdown", Arguments: map[string]any{"from": 5, "pause_ms": 20}}
	params.SetProgressToken("t")
	if _, err := session.CallTool(ctx, params); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(steps) || len(steps) < 4 {
		t.Errorf("progress = %v, want 1 to 5 in order", steps)
	}
}

func TestRefusals(t *testing.T) {
	id, err := gate.IDToken(t.Context(), stack.Alice)
	if err != nil {
		t.Fatal(err)
	}
	good := token(t, stack.Alice)
	for name, authorization := range map[string]string{
		"nothing": "", "garbage": "Bearer garbage", "cut": "Bearer " + good[:len(good)-6],
		"ID token": "Bearer " + id, "control byte": "Bearer a\tb",
	} {
		t.Run(name, func(t *testing.T) {
			res, body := get(t, gate.URL+"/sse", map[string]string{"Authorization": authorization})
			challenges := res.Header.Values("WWW-Authenticate")
			if res.StatusCode != http.StatusUnauthorized || len(challenges) != 1 ||
				!strings.Contains(challenges[0], "resource_metadata=") || !strings.Contains(body, `"Unauthorized"`) {
				t.Errorf("%s, challenges %q, body %s", res.Status, challenges, body)
			}
		})
	}
}

func TestBrowserIsSentToSignIn(t *testing.T) {
	res, _ := get(t, gate.URL+"/sse?a=b", map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
	if res.StatusCode != http.StatusFound || res.Header.Get("Location") != "/login?return_to=/sse?a=b" {
		t.Errorf("%s to %q", res.Status, res.Header.Get("Location"))
	}
	res, _ = get(t, gate.URL+"/login?return_to=/account", nil)
	if res.StatusCode != http.StatusFound || !strings.HasPrefix(res.Header.Get("Location"), gate.Issuer) ||
		!strings.Contains(res.Header.Get("Location"), "code_challenge_method=S256") {
		t.Errorf("login: %s to %q", res.Status, res.Header.Get("Location"))
	}
}

func TestPublicPages(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/health":                                   {200, "healthy"},
		"/.well-known/oauth-protected-resource":     {200, gate.Issuer},
		"/.well-known/oauth-protected-resource/mcp": {200, gate.URL + "/mcp"},
		"/.well-known/nothing":                      {404, "Not Found"},
		"/metrics":                                  {403, "Forbidden"},
		"/healthz":                                  {404, "Not Found"},
		"/_gatehouse/auth":                          {404, "Not Found"},
	} {
		t.Run(path, func(t *testing.T) {
			res, body := get(t, gate.URL+path, nil)
			if res.StatusCode != want.status || !strings.Contains(body, want.says) {
				t.Errorf("%s %s; want %d and %q", res.Status, body, want.status, want.says)
			}
			for _, name := range []string{"Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} {
				if len(res.Header.Values(name)) != 1 {
					t.Errorf("%s stands %d times", name, len(res.Header.Values(name)))
				}
			}
		})
	}
}

func TestPlainHTTPOnlyRedirects(t *testing.T) {
	res, _ := get(t, fmt.Sprintf("http://localhost:%d/mcp?x=1", gate.Ports.HTTP), nil)
	if want := gate.URL + "/mcp?x=1"; res.StatusCode != http.StatusMovedPermanently || res.Header.Get("Location") != want {
		t.Errorf("%s to %q, want 301 to %q", res.Status, res.Header.Get("Location"), want)
	}
	if conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", gate.Ports.HTTPS), &tls.Config{MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func TestUserLimit(t *testing.T) {
	set := map[string]string{"Authorization": "Bearer " + token(t, stack.Bob)}
	for range 200 {
		res, body := get(t, gate.URL+"/message", set)
		if res.StatusCode != http.StatusTooManyRequests {
			continue
		}
		if res.Header.Get("Retry-After") == "" || !strings.Contains(body, "Rate limit exceeded") {
			t.Errorf("429 without Retry-After or the text: %v %s", res.Header, body)
		}
		return
	}
	t.Error("200 quick requests of one user, and no 429")
}

func TestBridgeAway(t *testing.T) {
	gate.Stop(stack.Bridge)
	defer func() {
		if err := gate.StartPart(t.Context(), stack.Bridge); err != nil {
			t.Fatal(err)
		}
	}()
	set := map[string]string{"Authorization": "Bearer " + token(t, stack.Alice)}
	res, body := get(t, gate.URL+"/mcp", set)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "temporarily unavailable") {
		t.Errorf("%s %s, want 503 with the text", res.Status, body)
	}
	if res, body := get(t, gate.URL+"/health", nil); res.StatusCode != http.StatusServiceUnavailable || body != "unhealthy\n" {
		t.Errorf("health: %s %q", res.Status, body)
	}
}
