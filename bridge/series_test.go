package main

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/contract"
)

// TestNoClientMakesASeries sends all kinds of names through every front; only
// what the server itself listed, and _OTHER, may be a label.
func TestNoClientMakesASeries(t *testing.T) {
	g := startGoverned(t, "default: allow\n")
	user := g.signers.assertion(t, contract.Identity{Subject: "u"})
	peers := []peer{newSSEPeer(t, g.base, user), &streamablePeer{base: g.base}, modernPeer{g.base}}
	round := func(n int) {
		for _, p := range peers {
			p.call(t, user, "tools/list", "", `{}`)
			for _, method := range []string{"tools/call", "prompts/get"} {
				name := fmt.Sprint("made-up-", n)
				p.call(t, user, method, name, `{"name":"`+name+`"}`)
			}
			p.call(t, user, fmt.Sprint("made/up", n), "", `{}`)
		}
		post(t, g.base+fmt.Sprint("/x", n), user, `{}`, "User-Agent", fmt.Sprint(n), "X-Request-Id", fmt.Sprint("r", n))
		other := g.signers.assertion(t, contract.Identity{Subject: fmt.Sprint("u", n), Roles: []string{fmt.Sprint("r", n)}})
		modernPeer{g.base}.call(t, other, "tools/list", "", `{}`)
	}
	round(0)
	before := g.series(t)
	for n := range 8 {
		round(n + 1)
	}
	after := g.series(t)
	for name := range after {
		if !before[name] || strings.Contains(name, "made") {
			t.Errorf("a client made %s", name)
		}
	}
}

// series are the names and labels of the bridge's own.
func (g *governed) series(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for line := range strings.Lines(g.metrics(t)) {
		if strings.HasPrefix(line, "mcp_") || strings.HasPrefix(line, "gatehouse_") {
			all[line[:strings.LastIndexByte(line, ' ')]] = true
		}
	}
	return all
}
