package edge

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A bridge with a socket of its own is found by the name in the path as soon as
// it is there, with no line in any file; every other name is the gate's bridge.
func TestABridgeOfItsOwnIsFoundByItsSocket(t *testing.T) {
	sockets, err := os.MkdirTemp("", "gh") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	g := start(t, options{edit: func(t *testing.T, dir string) {
		replace(t, filepath.Join(dir, "gatehouse", "http", "maps.conf"), "/run/gatehouse;", sockets+";")
		severalGates(t, dir, map[string]string{"127.0.0.1:4380": serve(t, allow), "127.0.0.1:3200": named(t, "team-a's")})
	}})
	answer := func(path string) string {
		t.Helper()
		res, body := g.do(t, "POST", path, "{}")
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, res.Status)
		}
		return body
	}
	if got := answer("/servers/notes/mcp"); got != "ok" {
		t.Fatalf("before it is there: %q", got)
	}
	if err := os.Mkdir(filepath.Join(sockets, "notes"), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(sockets, "notes", "bridge.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(l.Addr().String(), 0o777); err != nil {
		t.Fatal(err)
	}
	var user, path string
	own := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test's
		user, path = r.Header.Get("X-User-Assertion"), r.RequestURI
		_, _ = io.WriteString(w, "notes")
	})}
	go func() { _ = own.Serve(l) }()
	t.Cleanup(func() { _ = own.Close() })
	if got := answer("/servers/notes/mcp?x=1"); got != "notes" || user != "signed" || path != "/servers/notes/mcp?x=1" {
		t.Errorf("its own bridge: %q, assertion %q, path %q", got, user, path)
	}
	for _, path := range []string{"/servers/other/mcp", "/mcp", "/servers/notes.x/mcp"} {
		if got := answer(path); got != "ok" {
			t.Errorf("%s is answered by %q", path, got)
		}
	}
	if got := answer("/team-a/servers/notes/mcp"); got != "team-a's" {
		t.Errorf("a server of another gate is answered by %q", got)
	}
	_ = own.Close()
	if got := answer("/servers/notes/mcp"); got != "ok" {
		t.Errorf("once it is gone: %q", got)
	}
}
