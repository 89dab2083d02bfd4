package edge

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/test/stack"
)

const secondHost = "team-b.example.com"

// The gates of docs/several-gates.md in one nginx, as the page has them.
func TestSeveralGatesInOneNginx(t *testing.T) {
	t.Parallel()
	const theirs = "Bearer theirs"
	second := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != theirs {
			refuse(401, "WWW-Authenticate", `Bearer resource_metadata="https://`+secondHost+`"`)(w, r)
			return
		}
		allow(w, r)
	})
	third := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if uri := r.Header.Get("X-Original-URI"); uri != "/team-a/mcp" {
			t.Errorf("team-a's authsvc is asked for %q", uri)
		}
		allow(w, r)
	})
	g := start(t, options{auth: onlyBearer, limits: limits(seldom, 1, 2), values: stack.NginxValues{ServerNames: "localhost"},
		edit: func(t *testing.T, dir string) {
			severalGates(t, dir, map[string]string{
				"127.0.0.1:4280": second, "127.0.0.1:3100": named(t, "second"),
				"127.0.0.1:4380": third, "127.0.0.1:3200": named(t, "third"),
			})
		}})
	for _, c := range []struct {
		host, path, authorization string
		status                    int
		body                      string
	}{
		{"localhost", "/mcp", bearer, 200, "ok"}, {secondHost, "/mcp", theirs, 200, "second"},
		{"localhost", "/team-a/mcp", bearer, 200, "third"}, // asked
		// Remembered; each gate has its own rate for u-1.
		{"localhost", "/mcp", bearer, 200, "ok"}, {secondHost, "/mcp", theirs, 200, "second"},
		{"localhost", "/team-a/mcp", bearer, 200, "third"},
		{"localhost", "/mcp", theirs, 401, ""}, {secondHost, "/mcp", bearer, 401, ""},
		{"localhost", "/mcp", bearer, 429, ""}, {"localhost", "/team-a/mcp", bearer, 429, ""},
		{"other.example.com", "/mcp", bearer, 421, ""},
		{secondHost, "/team-a/mcp", theirs, 404, ""}, // it has none
	} {
		req, err := http.NewRequest("POST", g.url+c.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		req.Header.Set("Authorization", c.authorization)
		res, err := g.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != c.status || c.body != "" && string(body) != c.body {
			t.Errorf("%s%s with %q: %s %s, want %d %s", c.host, c.path, c.authorization, res.Status, body, c.status, c.body)
		}
	}
	out, err := exec.Command("go", "run", filepath.Join("..", "..", "deploy", "check"), "-conf", filepath.Join(g.dir, "nginx.conf"), "-prefix", g.dir).
		CombinedOutput()
	if err != nil {
		t.Errorf("gatehouse-check: %v\n%s", err, out)
	}
}

var anyBlock = regexp.MustCompile("(?ms)^```nginx\n# ([a-z._/]+\\.conf)\n(.*?)^```$")

// named is a bridge that answers with its name.
func named(t *testing.T, name string) string {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// severalGates lays the page's files, and puts this test's servers in the place
// of the page's addresses; where it names none, those of the first gate stay.
func severalGates(t *testing.T, dir string, servers map[string]string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "several-gates.md"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "site", "upstreams.conf"))
	if err != nil {
		t.Fatal(err)
	}
	here := []string{"mcp.example.com", "localhost"}
	for theirs, ours := range servers {
		here = append(here, theirs, ours)
	}
	for port, group := range map[string]string{"3000": "gatehouse_bridge", "3001": "gatehouse_bridge_admin", "4180": "gatehouse_authsvc"} {
		found := regexp.MustCompile(`upstream ` + group + ` \{ server (\S+)`).FindSubmatch(old)
		if found == nil {
			t.Fatalf("no upstream %s in\n%s", group, old)
		}
		if servers["127.0.0.1:"+port] == "" {
			here = append(here, "127.0.0.1:"+port, string(found[1]))
		}
	}
	blocks := anyBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 3 {
		t.Fatal(fmt.Errorf("the page has %d files, want 3", len(blocks)))
	}
	for _, b := range blocks {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, b[1])), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, b[1]), strings.NewReplacer(here...).Replace(b[2]))
	}
}
