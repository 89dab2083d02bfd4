package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/contract"
)

// TestDiscoverIsWrittenDown: the bridge answers it itself, and it is a call
// like others to the audit log and the metrics.
func TestDiscoverIsWrittenDown(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	g := startGoverned(t, "default: deny\n", "--audit", log)
	p := modernPeer{g.base}
	if a := p.call(t, g.signers.assertion(t, contract.Identity{Subject: "u", Email: "e@x"}), "server/discover", "", `{}`); a.Error != nil {
		t.Fatalf("%+v", a.Error)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"method":"server/discover"`) && strings.Contains(string(text), `"outcome":"ok"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("audit log %s", text)
		}
	}
}
