package main

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/contract"
)

// TestAStreamEndsWhenTheEntryTurnsItsClientAway, and goes on in the same session
// once he has again what the entry asks for.
func TestAStreamEndsWhenTheEntryTurnsItsClientAway(t *testing.T) {
	signers := newSigners(t)
	base, _ := startSeveral(t, []string{entryOf("a", `, "gatehouse": {"roles": ["r"]}`), entryOf("b", "")},
		"--identity", "signed", "--identity-keys", signers.URL+contract.PathKeys)
	with := signers.assertion(t, contract.Identity{Subject: "u", SessionID: "login", Roles: []string{"r"}})
	without := signers.assertion(t, contract.Identity{Subject: "u", SessionID: "login"})
	p := &streamablePeer{base: base + "/servers/a"}
	p.open(t, with, initParams)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	listen := func(as string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(contract.HeaderAssertion, as)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Mcp-Session-Id", p.session)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	stream := listen(with)
	if a := p.call(t, without, "tools/list", "", `{}`); a.Status != http.StatusForbidden {
		t.Fatalf("without the role: %+v", a)
	}
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream does not end: %v", err)
	}
	if res := listen(without); res.StatusCode != http.StatusForbidden {
		t.Errorf("without the role a stream is answered %s", res.Status)
	}
	if a := p.call(t, with, "tools/list", "", `{}`); a.Error != nil {
		t.Errorf("with the role again: %+v", a)
	}
	if res := listen(with); res.StatusCode != http.StatusOK {
		t.Errorf("with the role again a stream is answered %s", res.Status)
	}
}
