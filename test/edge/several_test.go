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

// The two gates of docs/several-gates.md in one nginx, as the page has them.
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
	secondBridge := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "second") })
	g := start(
		t,
		options{
			auth:   onlyBearer,
			limits: limits(1, 1, 2),
			edit:   func(t *testing.T, dir string) { severalGates(t, dir, second, secondBridge) },
			values: stack.NginxValues{ServerNames: "localhost"},
		},
	)
	for _, c := range []struct {
		host, authorization string
		status              int
		body                string
	}{
		{"localhost", bearer, 200, "ok"}, {secondHost, theirs, 200, "second"}, // asked
		{"localhost", bearer, 200, "ok"}, {secondHost, theirs, 200, "second"}, // remembered; each gate has its own rate for u-1
		{"localhost", theirs, 401, ""}, {secondHost, bearer, 401, ""},
		{"localhost", bearer, 429, ""}, {"other.example.com", bearer, 421, ""},
	} {
		req, err := http.NewRequest("POST", g.url+"/mcp", strings.NewReader("{}"))
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
			t.Errorf("%s with %q: %s %s, want %d %s", c.host, c.authorization, res.Status, body, c.status, c.body)
		}
	}
	out, err := exec.Command("go", "run", filepath.Join("..", "..", "deploy", "check"), "-conf", filepath.Join(g.dir, "nginx.conf"), "-prefix", g.dir).
		CombinedOutput()
	if err != nil {
		t.Errorf("gatehouse-check: %v\n%s", err, out)
	}
}

var anyBlock = regexp.MustCompile("(?ms)^```nginx\n# ([a-z.]+/[a-z_]+\\.conf)\n(.*?)^```$")

// severalGates lays the page's files, and puts the first gate's servers and this
// test's in the place of the page's addresses.
func severalGates(t *testing.T, dir, authsvc, bridge string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "several-gates.md"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "site", "upstreams.conf"))
	if err != nil {
		t.Fatal(err)
	}
	here := []string{"127.0.0.1:3100", bridge, "127.0.0.1:4280", authsvc}
	for port, group := range map[string]string{"3000": "gatehouse_bridge", "3001": "gatehouse_bridge_admin", "4180": "gatehouse_authsvc"} {
		found := regexp.MustCompile(`upstream ` + group + ` \{ server (\S+)`).FindSubmatch(old)
		if found == nil {
			t.Fatalf("no upstream %s in\n%s", group, old)
		}
		here = append(here, "127.0.0.1:"+port, string(found[1]))
	}
	blocks := anyBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatal(fmt.Errorf("the page has %d files, want 2", len(blocks)))
	}
	for _, b := range blocks {
		write(t, filepath.Join(dir, b[1]), strings.NewReplacer(here...).Replace(b[2]))
	}
}
