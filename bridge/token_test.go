package main

import (
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/contract"
)

// TestASessionGoesOnWithANewToken of the same login, also of a client that comes
// with it when the old one is over. Another login of the user has it no longer.
func TestASessionGoesOnWithANewToken(t *testing.T) {
	g := startGoverned(t, "default: allow\n")
	id := contract.Identity{Subject: "u", SessionID: "login-1"}
	begun := time.Now()
	(&streamablePeer{base: g.base}).call(t, g.signers.assertion(t, id), "tools/list", "", `{}`)
	// A token has several times what three of these take on this machine.
	soon := time.Now().Add(4*time.Second + 10*time.Since(begun)).Truncate(time.Second) // an assertion counts whole seconds
	id.Expires = soon
	first := g.signers.assertion(t, id)
	renewed, left, asleep := &streamablePeer{base: g.base}, &streamablePeer{base: g.base}, &streamablePeer{base: g.base}
	asleep.call(t, first, "tools/list", "", `{}`)
	other := id
	other.SessionID, other.Expires = "login-2", time.Time{}
	id.Expires = time.Time{}
	next, foreign := g.signers.assertion(t, id), g.signers.assertion(t, other)
	for peer, later := range map[*streamablePeer]string{renewed: next, left: foreign} {
		peer.call(t, first, "tools/list", "", `{}`)
		peer.call(t, later, "tools/list", "", `{}`)
	}
	ask := func(p *streamablePeer, assertion string) int {
		res, _ := post(
			t, g.base+"/mcp", assertion, stateful("tools/list", `{}`),
			"Mcp-Session-Id", p.session, "Mcp-Protocol-Version", "2025-06-18",
		)
		return res.StatusCode
	}
	deadline := soon.Add(10 * time.Second)
	for ; ask(left, foreign) != http.StatusNotFound; <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session outlives the login that opened it")
		}
	}
	if time.Now().Before(soon) {
		t.Error("it ended before its token")
	}
	for what, p := range map[string]*streamablePeer{"before": renewed, "after": asleep} {
		if status := ask(p, next); status != http.StatusOK {
			t.Errorf("the session of a client that came with a new token %s the end answers %d", what, status)
		}
	}
}
