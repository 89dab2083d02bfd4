//go:build compose

package compose

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// The override lends each child what its user has entered on the gate's own
// page.
func TestCredentials(t *testing.T) {
	gate := attach(t)
	t.Run("up", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("CREDENTIALS", dir)
		t.Setenv("SERVERS", filepath.Join(dir, "servers.json"))
		for name, text := range map[string]string{
			"credentials.json": `{"credentials": [{"name": "notes", "kind": "entered", "label": "Notes"}]}`,
			"servers.json": `{"mcpServers": {"demo": {"command": "/demo",
				"gatehouse": {"credentials": {"from": "notes", "file": "notes-key"}}}}}`,
		} {
			//nolint:gosec // the containers are another user
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		compose(t, "-f", filepath.Join(root, "docker-compose.yml"),
			"-f", filepath.Join(root, "deploy/compose/credentials.yml"),
			"up", "--detach", "--wait", "authsvc", "bridge", "nginx")
		const connect = "/account/connect/notes"
		if _, err := open(t, gate); err == nil || !strings.Contains(err.Error(), gate.URL+connect) {
			t.Fatalf("before alice has entered it: %v", err)
		}
		const secret = "hush-of-alice"
		web := signedIn(t, gate, stack.Alice)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+connect,
			strings.NewReader(url.Values{"secret": {secret}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		if res, body := send(t, web, req); res.StatusCode != http.StatusOK {
			t.Fatalf("entering it: %s\n%s", res.Status, body)
		}
		s, err := open(t, gate)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
		want := fmt.Sprintf("credential notes-key of %d bytes", len(secret))
		if err != nil || !strings.Contains(res.Content[0].(*mcp.TextContent).Text, want) {
			t.Errorf("whoami = %+v, %v; want %q in it", res, err, want)
		}
	})
	compose(t, "up", "--detach", "--wait")
	session(t, gate)
}

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// signedIn is the browser of a user who has signed in at the gate, in as many tries
// as stack.LoginLimit lets.
func signedIn(t *testing.T, gate *stack.Stack, user string) *http.Client {
	t.Helper()
	web := gate.HTTPClient()
	web.Transport = bearer{next: web.Transport}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	web.Jar = jar
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate.URL+"/login?return_to=/account", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, body := send(t, web, req)
	form := url.Values{"username": {user}, "password": {stack.Password(user)}}
	for end := time.Now().Add(stack.LoginLimit); res.Request.URL.Path != "/account"; <-time.After(100 * time.Millisecond) {
		action := formAction.FindStringSubmatch(body)
		if action == nil || time.Now().After(end) {
			t.Fatalf("signing in ended at %s: %s\n%s", res.Request.URL, res.Status, body)
		}
		req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, html.UnescapeString(action[1]),
			strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, body = send(t, web, req)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("signed in: %s\n%s", res.Status, body)
	}
	return web
}

func send(t *testing.T, web *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := web.Do(req)
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
