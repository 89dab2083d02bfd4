package edge

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// A session of a node that is down has ended with it: 404, and its client
// starts again. Without a session the same outage is a 503.
func TestASessionOfADeadNodeIsGone(t *testing.T) {
	t.Parallel()
	g := start(
		t,
		options{values: stack.NginxValues{Nodes: map[string]string{"b": fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))}}},
	)
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

// The same where the node's name has two addresses, as localhost has.
func TestASessionOfADeadNodeWithTwoAddressesIsGone(t *testing.T) {
	t.Parallel()
	dead := fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))
	g := start(
		t,
		options{values: stack.NginxValues{Nodes: map[string]string{"b": dead}}, edit: func(t *testing.T, dir string) {
			replace(
				t,
				filepath.Join(dir, "site", "upstreams.conf"),
				"upstream gatehouse_node_b {",
				fmt.Sprintf("upstream gatehouse_node_b { server 127.0.0.1:%d;", freeport.Port(t)),
			)
		}},
	)
	res, body := g.do(
		t,
		"POST",
		"/mcp",
		"",
		"Authorization",
		bearer,
		"Mcp-Session-Id",
		"b.abcdefgh."+strings.Repeat("a", 26),
	)
	if res.StatusCode != 404 {
		t.Errorf("%d %s, want 404", res.StatusCode, body)
	}
}
