//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/tracing/tracingtest"
	"gatehouse/test/stack"
)

// TestNativeOneTraceAndOneRequestID: one call is one trace through nginx,
// authsvc and the bridge, and one request id stands in nginx's log, the
// bridge's audit log and both spans.
func TestNativeOneTraceAndOneRequestID(t *testing.T) {
	collector := tracingtest.New(t)
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	restarted(t, []string{stack.Authsvc, stack.Bridge}, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_BSP_SCHEDULE_DELAY": "100", "BRIDGE_AUDIT": audit,
	})
	callOnce(t, token(t, stack.Alice)) // a new token: nginx has no verdict to remember

	span := collector.Wait(t, "the call", func(s tracingtest.Span) bool { return s.Name == "tools/call whoami" })
	verdict := collector.Wait(t, "its verdict", func(s tracingtest.Span) bool {
		return s.Name == "GET /auth" && s.TraceID == span.TraceID
	})
	if span.Service != "bridge" || verdict.Service != "authsvc" || verdict.Parent != span.Parent ||
		verdict.Attributes["http.response.status_code"] != "200" {
		t.Errorf("call %+v\nverdict %+v", span, verdict)
	}
	type line struct {
		RequestID string `json:"request_id"`
		Tool, URI string
	}
	var said, seen line
	eventually(t, 10*time.Second, "the call in the bridge's audit log", func() bool {
		return find(t, audit, &said, func() bool { return said.Tool == "whoami" })
	})
	eventually(t, 10*time.Second, "the call in nginx's log", func() bool {
		return find(
			t,
			filepath.Join(gate.Dir, "nginx", "access.log"),
			&seen,
			func() bool { return seen.RequestID == said.RequestID },
		)
	})
	if span.TraceID != said.RequestID || span.Attributes["gatehouse.request_id"] != said.RequestID {
		t.Errorf("trace %s, request %s in the audit log: want one id", span.TraceID, said.RequestID)
	}
	if seen.URI != "/mcp" {
		t.Errorf("nginx says %+v", seen)
	}
}

// callOnce makes one call of 2026-07-28, which needs one request.
func callOnce(t *testing.T, token string) {
	t.Helper()
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "whoami",
	} {
		req.Header.Set(name, value)
	}
	res, err := client(bearer(token)).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if said := read(t, res); res.StatusCode != http.StatusOK || !strings.Contains(said, "alice@example.com") {
		t.Fatalf("%s %s", res.Status, said)
	}
}

// find reads a log of JSON lines into line until one matches.
func find(t *testing.T, log string, line any, match func() bool) bool {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for raw := range bytes.Lines(text) {
		if json.Unmarshal(raw, line) == nil && match() {
			return true
		}
	}
	return false
}
