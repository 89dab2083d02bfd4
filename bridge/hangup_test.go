//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/contract"
)

// TestHangup: SIGHUP goes on in a new audit file after a rotation and reads the
// policy again; a policy with a fault leaves the old one in force.
func TestHangup(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	g := startGoverned(t, "default: allow\n", "--audit", audit)
	user := g.signers.assertion(t, contract.Identity{Subject: "u"})
	p := modernPeer{g.base}
	calls := func(refused bool, name string) {
		t.Helper()
		if a := p.call(t, user, "tools/call", name, `{"name":"`+name+`"}`); (a.Error != nil) != refused {
			t.Fatalf("%s: %+v, want refused %v", name, a, refused)
		}
	}
	calls(false, "first")
	awaitLine(t, audit, "first")
	if err := os.Rename(audit, audit+".1"); err != nil {
		t.Fatal(err)
	}
	hangUp(t)
	eventually(t, "the policy is read again", func() bool {
		return g.metric(t, `gatehouse_policy_reloads_total{result="ok"}`) > 0
	})
	eventually(t, "there is a new audit file", func() bool {
		_, err := os.Stat(audit)
		return err == nil
	})
	calls(false, "second")
	awaitLine(t, audit, "second")
	awaitLine(t, audit+".1", "first")

	g.writePolicy(t, "default: deny\nrules: [\n")
	hangUp(t)
	eventually(t, "the bad policy is noticed", func() bool {
		return g.metric(t, `gatehouse_policy_reloads_total{result="kept_old"}`) > 0
	})
	calls(false, "third")
	g.reloads = g.metric(t, `gatehouse_policy_reloads_total{result="ok"}`)
	g.setPolicy(t, "default: deny\n")
	calls(true, "fourth")
	awaitLine(t, audit, "fourth")
}

func hangUp(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// awaitLine waits for the line of a call in the audit file.
func awaitLine(t *testing.T, audit, tool string) {
	t.Helper()
	eventually(t, "a line of "+tool+" in "+audit, func() bool {
		text, _ := os.ReadFile(audit)
		for line := range strings.Lines(string(text)) {
			var r struct{ Tool, Era, User string }
			if json.Unmarshal([]byte(line), &r) == nil && r.Tool == tool && r.Era == "stateless" && r.User == "u" {
				return true
			}
		}
		return false
	})
}
