package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/guard"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/telemetry"
	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const text = `default: deny
rules:
  - {name: read, tools: ["get_*"], roles: [mcp-user], limit: {in_flight: 1}}
  - {name: write, tools: [send], roles: [mcp-user], scopes: [slack.write], log_arguments: true}
`

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newGuard(t *testing.T) (*guard.Guard, string) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "policy.yaml"), text)
	file, err := guard.OpenFile(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "audit.jsonl")
	sink, err := audit.Open(log, bytes.Repeat([]byte("k"), 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &guard.Guard{
		Policy: &file.Current, Limits: policy.NewLimits(time.Now), Audit: sink,
		Metrics: telemetry.New(prometheus.NewRegistry()), ResourceMetadata: "https://mcp.example.com/m",
	}, log
}

func info(t *testing.T, scopes, line string) *mux.CallInfo {
	t.Helper()
	m, err := rpc.Parse([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	caller := &mux.Caller{Era: "streamable", Session: "abcdefgh", Identity: &contract.Identity{
		Subject: "u-1", Email: "alice@example.com", Roles: []string{"mcp-user"}, Scopes: strings.Fields(scopes),
	}}
	return &mux.CallInfo{Caller: caller, Method: m.Method, Name: m.Name(), Message: &m}
}

func begin(t *testing.T, g *guard.Guard, scopes, line string) (mux.Watch, error) {
	t.Helper()
	return g.Begin(context.Background(), info(t, scopes, line))
}

// ahead asks before a call begins.
func ahead(t *testing.T, g *guard.Guard, line string) error {
	t.Helper()
	i := info(t, "", line)
	i.Ahead = true
	return g.Again(context.Background(), i)
}

func call(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{"text":"secret"}}}`
}

func TestGuardDecidesAndTells(t *testing.T) {
	g, log := newGuard(t)
	w, err := begin(t, g, "", call("get_x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begin(t, g, "", call("get_x")); err == nil || mux.AsRPC(err).Code != rpc.CodeBusy {
		t.Errorf("second in flight: %v, want busy", err)
	}
	if err := ahead(t, g, call("get_x")); err == nil || mux.AsRPC(err).Code != rpc.CodeBusy {
		t.Errorf("before a second begins: %v, want busy", err)
	}
	w.Release() // before the client has its answer, for it may call again at once
	for range 10 {
		if err := ahead(t, g, call("get_x")); err != nil {
			t.Errorf("to ask is not to begin: %v", err)
		}
	}
	if _, err := begin(t, g, "", call("get_x")); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	w.End(mux.Outcome{Status: "ok", Bytes: 7})
	_, err = begin(t, g, "openid", call("send"))
	var scope *mux.ScopeError
	if !errors.As(err, &scope) {
		t.Fatalf("err = %v, want a ScopeError", err)
	}
	if want := `Bearer error="insufficient_scope", scope="slack.write openid", resource_metadata="https://mcp.example.com/m"`; scope.Challenge != want {
		t.Errorf("challenge = %s, want %s", scope.Challenge, want)
	}
	if e := mux.AsRPC(err); e.Code != guard.CodeRefused || !strings.Contains(string(e.Data), `"rule":"write"`) {
		t.Errorf("answer = %+v", e)
	}
	if _, err := begin(t, g, "", call("rm")); mux.AsRPC(err).Code != guard.CodeRefused {
		t.Errorf("unknown tool: %v", err)
	}
	w, err = begin(t, g, "slack.write", call("send"))
	if err != nil {
		t.Fatal(err)
	}
	w.End(mux.Outcome{Status: "error"})
	for _, answer := range []string{`{"content":[],"isError":true}`, `{"isError":false,"content":[{"isError":true}]}`, `{"content":[{"text":"\"isError\":true"}]}`} {
		if w, err = begin(t, g, "slack.write", call("send")); err != nil {
			t.Fatal(err)
		}
		w.Result([]byte(answer))
		w.End(mux.Outcome{Status: "ok"})
	}
	g.Audit.Close()
	checkLog(
		t,
		log,
		[]string{
			"limited read", "limited read",
			"ok read",
			"missing_scope write",
			"denied default",
			"error write",
			"tool_error write",
			"ok write",
			"ok write",
		},
	)
}

// checkLog holds outcome and rule of each line against want; only rule write
// may log the arguments, and only for a call that it decided.
func checkLog(t *testing.T, log string, want []string) {
	t.Helper()
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n") {
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Outcome+" "+r.Rule)
		if strings.Contains(line, "secret") != (r.Rule == "write" && r.Outcome != "missing_scope") {
			t.Errorf("arguments: %s", line)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("audit log = %q, want %q", got, want)
	}
}

// TestAgainCountsNothing: a call that waited for its client holds its place in
// the limit, and is refused where the policy has changed.
func TestAgainCountsNothing(t *testing.T) {
	g, log := newGuard(t)
	m, err := rpc.Parse([]byte(call("get_x")))
	if err != nil {
		t.Fatal(err)
	}
	w, err := begin(t, g, "", call("get_x"))
	if err != nil {
		t.Fatal(err)
	}
	info := &mux.CallInfo{
		Method:  m.Method,
		Message: &m,
		Caller:  &mux.Caller{Identity: &contract.Identity{Subject: "u-1", Roles: []string{"mcp-user"}}},
	}
	if err := g.Again(t.Context(), info); err != nil {
		t.Errorf("still allowed: %v", err)
	}
	info.Caller.Identity.Roles = nil
	if err := g.Again(t.Context(), info); mux.AsRPC(err).Code != guard.CodeRefused {
		t.Errorf("without the role: %v", err)
	}
	w.End(mux.Outcome{Status: "ok"})
	g.Audit.Close()
	checkLog(t, log, []string{"denied read", "ok read"})
}

func TestGuardFiltersLists(t *testing.T) {
	g, _ := newGuard(t)
	defer g.Audit.Close()
	w, err := begin(t, g, "", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(w.Result([]byte(`{"tools":[{"name":"get_x"},{"name":"send"}],"nextCursor":"c"}`))); got != `{"tools":[{"name":"get_x"}],"nextCursor":"c"}` {
		t.Errorf("list = %s", got)
	}
	if got := string(w.Result([]byte(`{"tools":{"name":"send"}}`))); got != `{"tools":[]}` {
		t.Errorf("a list that cannot be read = %s", got)
	}
	w.End(mux.Outcome{Status: "ok"})
}

func TestCheckExplains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	writeFile(t, path, text)
	var out strings.Builder
	ok, err := (&guard.Check{File: path, Roles: []string{"mcp-user"}, Tool: "send"}).Run(&out)
	if err != nil || ok {
		t.Errorf("allowed %v, err %v", ok, err)
	}
	for _, want := range []string{"good; 2 rules, default deny", "missing_scope by rule write", "[slack.write]", "shown in lists: false"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q does not say %q", out.String(), want)
		}
	}
}

// TestCheckKnowsBothSpellings: a tool is decided alike by its server's name and
// its own, and by the name that it has where several servers are one.
func TestCheckKnowsBothSpellings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	writeFile(t, path, "default: deny\nrules:\n  - {name: one, servers: [a], tools: [send]}\n")
	for name, tc := range map[string]struct {
		check guard.Check
		want  bool
	}{
		"apart":            {guard.Check{Server: "a", Tool: "send"}, true},
		"as one":           {guard.Check{Tool: "a__send"}, true},
		"another's":        {guard.Check{Tool: "b__send"}, false},
		"its own name":     {guard.Check{Server: "a", Tool: "a__send"}, false},
		"another way":      {guard.Check{Tool: "a.send", NameSeparator: "."}, true},
		"no server at all": {guard.Check{Tool: "send"}, false},
	} {
		if tc.check.File = path; tc.check.NameSeparator == "" {
			tc.check.NameSeparator = "__"
		}
		var out strings.Builder
		if ok, err := tc.check.Run(&out); err != nil || ok != tc.want {
			t.Errorf("%s: %v, %v\n%s", name, ok, err, out.String())
		}
	}
}

// TestNothingUnknownReachesAServer where the default is to deny: neither a
// method that MCP does not define nor a notification.
func TestNothingUnknownReachesAServer(t *testing.T) {
	g, _ := newGuard(t)
	defer g.Audit.Close()
	for line, allowed := range map[string]bool{
		`{"jsonrpc":"2.0","id":1,"method":"vendor/shutdown","params":{"name":"get_x"}}`: false,
		`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t"}}`:         false,
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:                                      true,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`:                                true,
	} {
		var refused *rpc.Error
		if w, err := begin(t, g, "", line); (err == nil) != allowed ||
			err != nil && (!errors.As(err, &refused) || refused.Code != guard.CodeRefused) {
			t.Errorf("%s: %v", line, err)
		} else if err == nil {
			w.Release()
		}
	}
	caller := &mux.Caller{Identity: &contract.Identity{Subject: "u-1", Roles: []string{"mcp-user"}}}
	for method, allowed := range map[string]bool{"notifications/vendor": false, "notifications/initialized": true, "notifications/cancelled": true} {
		m, err := rpc.Parse([]byte(`{"jsonrpc":"2.0","method":"` + method + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		info := &mux.CallInfo{Caller: caller, Method: method, Message: &m}
		if err := g.Again(context.Background(), info); (err == nil) != allowed {
			t.Errorf("%s: %v", method, err)
		}
	}
}
