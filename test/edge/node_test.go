package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nodes adds bridges to site/upstreams.conf, as its comment says.
func nodes(addrs map[string]string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		file := filepath.Join(dir, "site", "upstreams.conf")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		groups, entries := "", ""
		for node, addr := range addrs {
			groups += fmt.Sprintf("upstream gatehouse_node_%s { server %s max_fails=0; keepalive 64; }\n", node, addr)
			entries += fmt.Sprintf("%s gatehouse_node_%s; ", node, node)
		}
		const before = `map $gatehouse_node $gatehouse_bridge { `
		if !strings.Contains(string(text), before) {
			t.Fatalf("no %q in %s", before, text)
		}
		text = []byte(groups + strings.Replace(string(text), before, before+entries, 1))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A session of a node that is down has ended with it: 404, and its client
// starts again. Without a session the same outage is a 503.
func TestASessionOfADeadNodeIsGone(t *testing.T) {
	g := start(t, options{edit: nodes(map[string]string{"b": fmt.Sprintf("127.0.0.1:%d", freePort(t))})})
	session := ".abcdefgh." + strings.Repeat("a", 26)
	for _, request := range [][2]string{{"POST", "/mcp"}, {"POST", "/message?sessionId=b" + session}, {"GET", "/mcp"}} {
		res, body := g.do(t, request[0], request[1], "", "Authorization", bearer, "Mcp-Session-Id", "b"+session)
		if res.StatusCode != 404 || !strings.Contains(body, "no such session") {
			t.Errorf("%v: %d %s, want a JSON-RPC 404", request, res.StatusCode, body)
		}
	}
	if g.lastBridge.Load() != nil {
		t.Error("another node was asked")
	}
}
