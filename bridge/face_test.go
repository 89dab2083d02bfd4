package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
)

// TestAloneInPlaceOfOthers: what supergateway and mcp-proxy are told by flags.
func TestAloneInPlaceOfOthers(t *testing.T) {
	dir := t.TempDir()
	base := start(
		t, "--sse-path", "/events", "--sse-path", "/v1/events", "--message-path", "/post", "--mcp-path", "/v1/mcp",
		"--health-path", "/healthz", "--health-path", "/health", "--header", "X-Auth-Source: nginx", "--header", "X-Two=2; a",
		"--cwd", dir, "--env", "MCP_USER_ID=overwritten", "--env", "GIVEN=a;b,c",
	)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for name, transport := range map[string]mcp.Transport{
		"sse":   &mcp.SSEClientTransport{Endpoint: base + "/events"},
		"other": &mcp.SSEClientTransport{Endpoint: base + "/v1/events/"},
		"mcp":   &mcp.StreamableClientTransport{Endpoint: base + "/v1/mcp"},
	} {
		if err := call(ctx, transport, name, 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for path, want := range map[string]int{
		"/healthz": 200, "/health": 200, "/v1/mcp": 405, "/mcp": 404, "/sse": 404, "/nowhere": 404,
	} {
		res, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want && (path != "/v1/mcp" || res.StatusCode/100 != 4) ||
			res.Header.Get("X-Auth-Source") != "nginx" || res.Header.Get("X-Two") != "2; a" {
			t.Errorf("%s answers %d with %v", path, res.StatusCode, res.Header)
		}
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("X-Auth-Source") != "nginx" {
		t.Errorf("the stream's headers are %v", res.Header)
	}
}

// TestTokensInPlaceOfASignIn: who has none is not let in, whoever else asks is
// another user.
func TestTokensInPlaceOfASignIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("alice alice-secret-of-32-bytes\nbob bob-secret-of-32-bytes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := start(t, "--identity", "token", "--token-file", file)
	ask := func(token, session, body string) *http.Response {
		req, err := http.NewRequest(http.MethodPost, base+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	for _, token := range []string{"", "another-secret"} {
		res := ask(token, "", stateful("initialize", initParams))
		if res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("token %q: %d %v", token, res.StatusCode, res.Header)
		}
	}
	opened := ask("alice-secret-of-32-bytes", "", stateful("initialize", initParams))
	session := opened.Header.Get("Mcp-Session-Id")
	if opened.StatusCode != http.StatusOK || session == "" {
		t.Fatalf("alice: %d %v", opened.StatusCode, opened.Header)
	}
	said := ask(
		"alice-secret-of-32-bytes", session, stateful("tools/call", `{"name":"say","arguments":{"text":"x","count":0}}`),
	)
	if raw, _ := io.ReadAll(said.Body); !strings.Contains(string(raw), "user=alice") {
		t.Errorf("the child heard %s", raw)
	}
	if res := ask("bob-secret-of-32-bytes", session, stateful("tools/list", `{}`)); res.StatusCode != http.StatusNotFound {
		t.Errorf("bob in alice's session: %d", res.StatusCode)
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if code := run(context.Background(), []string{"--version"}, &out, io.Discard); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if !strings.HasPrefix(out.String(), "bridge ") || !strings.Contains(out.String(), "commit ") ||
		!strings.Contains(out.String(), "go1.") {
		t.Errorf("it says %q", out.String())
	}
}

func TestRoots(t *testing.T) {
	at := func(ip string) []string { return roots(&net.TCPAddr{IP: net.ParseIP(ip), Port: 3000}) }
	if got := at("127.0.0.1"); !reflect.DeepEqual(got, []string{"http://127.0.0.1:3000"}) {
		t.Errorf("loopback: %q", got)
	}
	if got := at("::1"); !reflect.DeepEqual(got, []string{"http://[::1]:3000"}) {
		t.Errorf("IPv6: %q", got)
	}
	if got := at("0.0.0.0"); got[0] != "http://localhost:3000" {
		t.Errorf("everywhere: %q", got)
	}
}

// TestTheStartSaysWhereToConnect, also where it listens for everybody.
func TestTheStartSaysWhereToConnect(t *testing.T) {
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"a port":    {[]string{"--port", port, "--mcp-path", "/tools"}, "http://127.0.0.1:" + port + "/tools  Streamable HTTP\n"},
		"all of it": {[]string{"--listen", "0.0.0.0:" + port, "--allow-anyone"}, "http://localhost:" + port + "/mcp  Streamable HTTP\n"},
	} {
		t.Run(name, func(t *testing.T) {
			said, out := io.Pipe()
			ctx, stop := context.WithCancel(context.Background())
			code := make(chan int, 1)
			go func() { code <- run(ctx, append(tc.args, "--", os.Args[0]), out, io.Discard) }()
			first, err := bufio.NewReader(said).ReadString('\n')
			_ = said.Close()
			if err != nil || first != tc.says {
				t.Errorf("it says %q, %v", first, err)
			}
			stop()
			if got := <-code; got != exitOK {
				t.Errorf("exit %d", got)
			}
		})
	}
}
