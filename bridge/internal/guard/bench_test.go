package guard_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/guard"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/telemetry"
	"gatehouse/internal/contract"
)

// BenchmarkCall is all that a call pays for a policy of 200 rules, the audit
// log and the metrics; tracing is off.
func BenchmarkCall(b *testing.B) {
	dir := b.TempDir()
	var rules strings.Builder
	for i := range 199 {
		fmt.Fprintf(&rules, "- {name: r%d, tools: ['tool_%d_*'], roles: [role-%d]}\n", i, i, i)
	}
	path := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(path, []byte("default: deny\nrules:\n"+rules.String()+"- {name: last, tools: ['ec*'], roles: [mcp-user]}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	file, err := guard.OpenFile(path)
	if err != nil {
		b.Fatal(err)
	}
	sink, err := audit.Open(filepath.Join(dir, "audit.jsonl"), bytes.Repeat([]byte("k"), 32), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	g := &guard.Guard{
		Policy:  &file.Current,
		Limits:  policy.NewLimits(time.Now),
		Audit:   sink,
		Metrics: telemetry.New(prometheus.NewRegistry()),
	}
	g.Metrics.Listed("", "echo")
	m, err := rpc.Parse(
		[]byte(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"gatehouse-load.169.1."}}}`,
		),
	)
	if err != nil {
		b.Fatal(err)
	}
	caller := &mux.Caller{Era: "streamable", Session: "abcdefgh", Identity: &contract.Identity{
		Subject: "user-1", Email: "user1@example.com", Roles: []string{"mcp-user"}, Scopes: []string{"openid", "mcp.access"},
	}}
	b.ReportAllocs()
	for b.Loop() {
		w, err := g.Begin(b.Context(), &mux.CallInfo{Caller: caller, Method: m.Method, Name: "echo", Message: &m})
		if err != nil {
			b.Fatal(err)
		}
		w.Result([]byte(`{"content":[{"type":"text","text":"gatehouse-load.169.1."}]}`))
		w.Release()
		w.End(mux.Outcome{Status: "ok", Bytes: 100})
	}
}
