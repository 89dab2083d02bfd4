//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// TestNativePrometheus: a real Prometheus with the repository's configuration
// and rules scrapes both programs of the stack while calls are made; it knows
// every alert, and every query of the dashboard gives at least one series, so
// that no panel names a metric that is not there.
func TestNativePrometheus(t *testing.T) {
	governed(t)
	base := startPrometheus(t)
	bob := token(t, stack.Bob)
	busy := func() {
		session, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).
			Connect(t.Context(), &mcp.SSEClientTransport{Endpoint: gate.URL + "/sse", HTTPClient: client(bearer(bob))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = session.ListTools(t.Context(), nil) // makes the tools' names labels
		_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
		_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "ask"}) // refused
		_ = session.Close()
	}
	busy()
	for _, query := range dashboardQueries(t) {
		eventually(t, time.Minute, "a series for "+query, func() bool {
			if ask(t, base, "query?query="+url.QueryEscape(query), "result") > 0 {
				return true
			}
			busy() // a rate needs a count that moves
			return false
		})
	}
	if n := ask(t, base, "rules", "groups"); n == 0 {
		t.Error("no alert rules are loaded")
	}
	eventually(t, 20*time.Second, "both programs scraped", func() bool {
		return ask(t, base, "query?query="+url.QueryEscape(`up{job=~"bridge|authsvc"} == 1`), "result") == 2
	})
}

func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository(t), "deploy/grafana/dashboards/gatehouse.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	if len(queries) == 0 {
		t.Fatal("the dashboard has no queries")
	}
	return queries
}

// startPrometheus runs the repository's own configuration, with the stack's
// ports and a shorter interval, until the test ends.
func startPrometheus(t *testing.T) string {
	t.Helper()
	deploy, dir := filepath.Join(repository(t), "deploy/prometheus"), t.TempDir()
	conf, err := os.ReadFile(filepath.Join(deploy, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"127.0.0.1:3001", fmt.Sprintf("127.0.0.1:%d", gate.Ports.BridgeAdmin),
		"127.0.0.1:4181", fmt.Sprintf("127.0.0.1:%d", gate.Ports.AuthsvcInternal),
		"15s", "1s", "rules.yml", filepath.Join(deploy, "rules.yml"),
	).Replace(string(conf))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeport.Addr(t)
	ctx, cancel := context.WithCancel(context.Background())
	var out strings.Builder
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", addr)
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("prometheus (Debian's package of that name) does not start: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	base := "http://" + addr
	eventually(t, 30*time.Second, "prometheus ready", func() bool {
		res, err := http.Get(base + "/-/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return base
}

// ask counts what the API answers in a list of its data.
func ask(t *testing.T, base, path, field string) int {
	t.Helper()
	res, err := http.Get(base + "/api/v1/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status string
		Data   map[string]json.RawMessage
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &answer) != nil || answer.Status != "success" ||
		json.Unmarshal(answer.Data[field], &list) != nil {
		t.Fatalf("%s: %s", path, raw)
	}
	return len(list)
}
