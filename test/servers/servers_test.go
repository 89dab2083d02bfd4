//go:build servers

package servers_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
	"gatehouse/test/running"
)

// cache is where make has installed the servers.
const cache = "../../.cache/servers"

var program string // the bridge

func TestMain(m *testing.M) {
	os.Exit(running.Tests(m, &program))
}

// server is a real one, and a call whose answer is known.
type server struct {
	name string
	argv []string
	tool string
	args map[string]any
	says string // part of the answer
}

// servers are run from a folder of the test with a repository and a page.
func servers(t *testing.T, dir, page string) []server {
	t.Helper()
	root, err := filepath.Abs(cache)
	if err != nil {
		t.Fatal(err)
	}
	var all []server
	for _, s := range []server{
		{"everything", nil, "echo", map[string]any{"message": "well"}, "well"},
		{"filesystem", []string{dir}, "read_text_file", map[string]any{"path": filepath.Join(dir, "file.txt")},
			"what is in it"},
		{"memory", nil, "read_graph", map[string]any{}, "entities"},
	} {
		args := s.argv
		s.argv = append([]string{filepath.Join(root, "npm/node_modules/.bin/mcp-server-"+s.name)}, args...)
		all = append(all, s)
		s.name, s.argv = "npx "+s.name, append([]string{"npx", "-y", "@modelcontextprotocol/server-" + s.name}, args...)
		all = append(all, s)
	}
	python := func(name string, args ...string) []string {
		return append([]string{filepath.Join(root, "venv/bin/mcp-server-"+name)}, args...)
	}
	arguments := map[string]any{"url": page}
	fetch := python("fetch", "--ignore-robots-txt", "--allow-private-ips")
	late := append([]string{"sh", "-c", `sleep 3; exec "$@"`, "sh"}, fetch...)
	return append(all,
		server{"time", python("time"), "get_current_time", map[string]any{"timezone": "Asia/Seoul"}, "Asia/Seoul"},
		server{"uvx time", []string{filepath.Join(root, "venv/bin/uvx"), "mcp-server-time@2026.10.19"}, "get_current_time",
			map[string]any{"timezone": "Asia/Seoul"}, "Asia/Seoul"},
		server{"git", python("git", "--repository", dir), "git_status", map[string]any{"repo_path": dir}, "file.txt"},
		server{"fetch", fetch, "fetch", arguments, "a page of the test"},
		server{"fetch that needs 3 s to start", late, "fetch", arguments, "a page of the test"},
	)
}

// TestRealServers: each lists its tools and answers a call, in each era, beside
// the others.
func TestRealServers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file.txt"), []byte("what is in it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v %s", err, out)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("a page of the test"))
	}))
	t.Cleanup(page.Close)
	_, port, _ := strings.Cut(page.Listener.Addr().String(), ":")
	for _, s := range servers(t, dir, page.URL) {
		t.Run(s.name, func(t *testing.T) {
			base := start(t, s.argv, "--sandbox-connect", port) // fetch asks for a page of the test
			for _, era := range []struct {
				name, path, version string
			}{
				{"sse", "/sse", "2024-11-05"}, {"sessions", "/mcp", "2025-11-25"}, {"stateless", "/mcp", "2026-07-28"},
			} {
				t.Run(era.name, func(t *testing.T) {
					begun := time.Now()
					use(t, s, base+era.path, era.version)
					t.Logf("%.1f s", time.Since(begun).Seconds())
				})
			}
		})
	}
}

func use(t *testing.T, s server, url, version string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: url}
	if strings.HasSuffix(url, "/sse") {
		transport = &mcp.SSEClientTransport{Endpoint: url}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer session.Close()
	if got := session.InitializeResult().ProtocolVersion; version == "2026-07-28" && got != version {
		t.Errorf("the client speaks %s, want %s", got, version)
	}
	tools, err := session.ListTools(ctx, nil)
	if err != nil || len(tools.Tools) == 0 {
		t.Fatalf("tools/list: %+v, %v", tools, err)
	}
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: s.tool, Arguments: s.args})
	if err != nil {
		t.Fatalf("%s: %v", s.tool, err)
	}
	var said strings.Builder
	for _, c := range res.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			said.WriteString(text.Text)
		}
	}
	if res.IsError || !strings.Contains(said.String(), s.says) {
		t.Errorf("%s says %q, error %v; want %q", s.tool, said.String(), res.IsError, s.says)
	}
}

// start runs the bridge before the server until the test ends.
func start(t *testing.T, argv []string, flags ...string) string {
	t.Helper()
	addr := freeport.Addr(t)
	args := append([]string{"--listen", addr, "--start-time", "60s"}, flags...)
	cmd := exec.Command(program, append(append(args, "--"), argv...)...)
	if root, err := filepath.Abs(cache); err == nil {
		cmd.Dir = filepath.Join(root, "npm") // where npx finds what is installed
	}
	running.Start(t, cmd, "http://"+addr)
	return "http://" + addr
}
