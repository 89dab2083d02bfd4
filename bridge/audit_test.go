package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/contract"
)

// auditLine is what these tests look at.
type auditLine struct{ Server, Method, Tool, Outcome string }

// awaitLines waits until so many lines of the audit log say this.
func awaitLines(t *testing.T, log string, want auditLine, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for line := range strings.Lines(string(text)) {
			var got auditLine
			if json.Unmarshal([]byte(line), &got) == nil && got == want {
				found++
			}
		}
		if found == n {
			return
		}
		if found > n || time.Now().After(end) {
			t.Fatalf("%d lines are %+v, want %d:\n%s", found, want, n, text)
		}
	}
}

// TestWhatTheBridgeAnswersItselfIsWrittenDown: an initialize for a child that the
// bridge has made ready, a list from memory, and what it refuses before it asks
// the policy.
func TestWhatTheBridgeAnswersItselfIsWrittenDown(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	signers := newSigners(t)
	base, _ := startSeveral(t, []string{
		entryOf("a", `, "gatehouse": {"isolation": "user"}`), entryOf("b", `, "gatehouse": {"isolation": "shared"}`),
		entryOf("c", `, "gatehouse": {"roles": ["nobody"]}`),
	}, "--audit", log, "--identity", "signed", "--identity-keys", signers.URL+contract.PathKeys)
	as := signers.assertion(t, contract.Identity{Subject: "u"})
	for _, server := range []string{"a", "b"} {
		(&streamablePeer{base: base + "/servers/" + server}).open(t, as, initParams)
		awaitLines(t, log, auditLine{server, "initialize", "", "ok"}, 1)
	}
	post(t, base+"/servers/c/mcp", as, stateful("initialize", initParams))
	awaitLines(t, log, auditLine{"c", "POST", "", "denied"}, 1)

	for n := range 3 { // those after the first are told from memory
		p := &streamablePeer{base: base}
		p.call(t, as, "tools/list", "", `{}`)
		awaitLines(t, log, auditLine{"a", "tools/list", "", "ok"}, n+1)
		awaitLines(t, log, auditLine{"b", "tools/list", "", "ok"}, n+1)
	}
	for _, p := range []peer{&streamablePeer{base: base}, newSSEPeer(t, base, as), modernPeer{base}} {
		for _, name := range []string{"c__say", "d__say"} {
			p.call(t, as, "tools/call", name, `{"name":"`+name+`","arguments":{}}`)
		}
	}
	awaitLines(t, log, auditLine{"c", "tools/call", "say", "denied"}, 3)
	awaitLines(t, log, auditLine{"", "tools/call", "d__say", "refused"}, 3)
}
