package guard_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/guard"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/httpkit"

	"gatehouse/bridge/internal/telemetry"
)

const deploy = "../../../deploy"

// TestDashboardOnARealPrometheus scrapes the bridge's own registry, after real
// calls through the guard, and asks every query of the dashboard: each must
// give at least one series, so that no panel names a metric that is not there.
func TestDashboardOnARealPrometheus(t *testing.T) {
	g, _ := newGuard(t)
	defer g.Audit.Close()
	reg := httpkit.NewRegistry()
	g.Metrics = telemetry.New(reg)
	guard.Collect(reg, g.Audit, session.NewServer(session.ServerConfig{Name: "slack"}))
	bridge := httptest.NewServer(httpkit.Metrics(reg))
	defer bridge.Close()

	base, stop := startPrometheus(t, bridge.Listener.Addr().String())
	defer stop()
	deadline := time.Now().Add(60 * time.Second)
	for _, query := range dashboardQueries(t) {
		for n := 0; n == 0; {
			_, _ = begin(t, g, "", call("rm")) // a rate needs a count that moves
			if w, err := begin(t, g, "slack.write", call("send")); err == nil {
				w.End(session.Outcome{Status: "ok"})
			}
			if n = ask(t, base, query); n == 0 && time.Now().After(deadline) {
				t.Fatalf("no series for %s", query)
			}
			<-time.After(100 * time.Millisecond)
		}
	}
}

func dashboardQueries(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(deploy, "grafana/dashboards/gatehouse.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	var queries []string
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

// startPrometheus runs the repository's own configuration with other targets
// and a shorter interval, so that its rules are loaded too.
func startPrometheus(t *testing.T, target string) (string, func()) {
	t.Helper()
	dir := t.TempDir()
	conf, err := os.ReadFile(filepath.Join(deploy, "prometheus/prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filepath.Join(deploy, "prometheus/rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:3001", target, "15s", "1s", "rules.yml", rules).Replace(string(conf))
	writeFile(t, filepath.Join(dir, "prometheus.yml"), text)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var out strings.Builder
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", addr)
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("prometheus (Debian's package of that name) does not start: %v", err)
	}
	stop := func() { cancel(); _ = cmd.Wait(); http.DefaultClient.CloseIdleConnections() }
	base := "http://" + addr
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(50 * time.Millisecond) {
		resp, err := http.Get(base + "/-/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return base, stop
			}
		}
		if time.Now().After(deadline) {
			stop()
			t.Fatalf("prometheus is not ready:\n%s", out.String())
		}
	}
}

func ask(t *testing.T, base, query string) int {
	t.Helper()
	resp, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %s", query, raw)
	}
	return len(answer.Data.Result)
}
