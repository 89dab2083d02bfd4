package guard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/guard"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/internal/contract"
)

// seenEnv makes the test's own program an MCP server that writes each line it
// gets to the file.
const seenEnv = "GUARD_TEST_SEEN"

func serveChild(path string) {
	seen, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Fprintln(seen, in.Text())
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		body := `"result":{"content":[]}`
		switch m.Method {
		case "initialize":
			body = `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"1"}}`
		case "tools/list":
			body = `"result":{"tools":[{"name":"get_x","inputSchema":{"type":"object"}},{"name":"send","inputSchema":{"type":"object"}}],"nextCursor":"c"}`
		case "server/discover":
			body = `"error":{"code":-32601,"message":"no such method"}`
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,%s}`+"\n", m.ID, body)
	}
}

// openFront runs the stateless front over a real child behind the guard.
func openFront(t *testing.T, g *guard.Guard, seen string) func(scopes, method, name string) (*http.Response, string) {
	t.Helper()
	starter := child.NewStarter()
	server := session.NewServer(session.ServerConfig{
		Spec:      child.Spec{Argv: []string{os.Args[0]}, Env: append(os.Environ(), seenEnv+"="+seen)},
		Isolation: session.PerUser, Limits: session.DefaultLimits(), Starter: starter, Log: zerolog.Nop(), Guard: g,
		Child: child.Options{WriteWait: time.Second, StdinGrace: time.Second, TermGrace: time.Second},
	})
	front := stateless.New(server.Pool(), stateless.DefaultOptions())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := contract.Identity{Subject: "u-1", Roles: []string{"mcp-user"}, Scopes: strings.Fields(r.Header.Get("Scopes"))}
		front.Serve(w, r, &session.Caller{Identity: id, Era: "stateless"}, body)
	}))
	t.Cleanup(func() {
		front.Close()
		srv.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Close(ctx)
		starter.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return func(scopes, method, name string) (*http.Response, string) {
		t.Helper()
		return post(t, srv.URL, scopes, method, name)
	}
}

func post(t *testing.T, url, scopes, method, name string) (*http.Response, string) {
	t.Helper()
	params := ""
	if name != "" {
		params = fmt.Sprintf(`"name":%q,"arguments":{},`, name)
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`, method, params)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Scopes": {scopes}, "Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {method}, "Accept": {"application/json, text/event-stream"}}
	if name != "" {
		req.Header.Set("Mcp-Name", name)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

func TestARefusedCallNeverReachesTheChild(t *testing.T) {
	g, _ := newGuard(t)
	t.Cleanup(g.Audit.Close)
	seen := filepath.Join(t.TempDir(), "seen")
	ask := openFront(t, g, seen)

	if resp, body := ask("", "tools/list", ""); resp.StatusCode != 200 || strings.Contains(body, `"send"`) || !strings.Contains(body, `"get_x"`) || !strings.Contains(body, `"nextCursor":"c"`) {
		t.Errorf("list: %d %s", resp.StatusCode, body)
	}
	if resp, body := ask("", "tools/call", "get_x"); resp.StatusCode != 200 || !strings.Contains(body, `"content"`) {
		t.Errorf("allowed call: %d %s", resp.StatusCode, body)
	}
	resp, body := ask("openid", "tools/call", "send")
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="slack.write openid"`) {
		t.Errorf("a scope is missing: %d %q %s", resp.StatusCode, resp.Header.Get("WWW-Authenticate"), body)
	}
	if _, body := ask("slack.write", "tools/call", "remove"); !strings.Contains(body, `"rule":"default"`) || !strings.Contains(body, "-32003") {
		t.Errorf("denied: %s", body)
	}
	reached, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(reached), `"send"`) || strings.Contains(string(reached), `"remove"`) || !strings.Contains(string(reached), `"get_x"`) {
		t.Errorf("the child got\n%s", reached)
	}
	if resp, body := ask("slack.write", "tools/call", "send"); resp.StatusCode != 200 {
		t.Errorf("after stepping up: %d %s", resp.StatusCode, body)
	}
}
