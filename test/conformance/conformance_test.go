//go:build conformance

package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/conformance"
	"gatehouse/test/freeport"
)

const (
	root       = "../.."
	everything = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"
)

// required is the number of server scenarios that the suite scores for a
// version: a run that scored fewer proves nothing.
var required = map[string]int{"2025-11-25": 30, "2026-07-28": 37}

func TestConformance(t *testing.T) {
	file, err := os.Open("baseline.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	known, err := conformance.Baseline(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bridge := filepath.Join(dir, "bridge")
	build(t, "-o", bridge, "./bridge")
	programs := map[string]string{}
	for _, child := range []string{"dual", "older"} {
		program := filepath.Join(dir, child)
		build(t, "-modfile", "test/conformance/child-"+child+".mod", "-o", program, everything)
		programs[child] = program
		endpoint := start(t, bridge, "--", program)
		for _, version := range []string{"2025-11-25", "2026-07-28"} {
			t.Run(child+"/"+version, func(t *testing.T) { compare(t, child, version, run(t, endpoint, version), known) })
		}
	}
	t.Run("only", func(t *testing.T) {
		endpoint := start(t, bridge, "--config", configured(t, programs, "dual"))
		compare(t, "dual", "2026-07-28", run(t, endpoint, "2026-07-28"), known)
	})
	// Both have the same resources, and at one endpoint the first in the file is
	// asked for them: so each is the first once.
	for _, order := range [][]string{{"dual", "older"}, {"older", "dual"}} {
		first := order[0]
		endpoint := prefix(first+"__").before(t, start(t, bridge, "--config", configured(t, programs, order...)))
		for _, version := range []string{"2025-11-25", "2026-07-28"} {
			t.Run("several/"+first+"/"+version, func(t *testing.T) {
				compare(t, first, version, run(t, endpoint, version), known)
			})
		}
	}
}

// configured writes a file of these servers, in this order.
func configured(t *testing.T, programs map[string]string, names ...string) string {
	t.Helper()
	entries := make([]string, len(names))
	for i, name := range names {
		entries[i] = fmt.Sprintf(`%q: {"command": %q}`, name, programs[name])
	}
	path := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(path, []byte(`{"mcpServers": {`+strings.Join(entries, ", ")+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func build(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %v: %v\n%s", args, err, out)
	}
}

// start runs the bridge on a free port in front of what args name.
func start(t *testing.T, bridge string, args ...string) string {
	t.Helper()
	addr := freeport.Addr(t)
	var log bytes.Buffer
	cmd := exec.Command(bridge, append([]string{"--listen", addr, "--identity", "none"}, args...)...)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get("http://" + addr + "/health"); err == nil {
			_ = resp.Body.Close()
			return "http://" + addr + "/mcp"
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("bridge ended: %v\n%s", err, log.String())
		case <-ctx.Done():
			t.Fatalf("bridge does not answer\n%s", log.String())
		case <-tick.C:
		}
	}
}

// TestClient: the other end passes every scenario that a client must, with a
// desktop client on its stdio.
func TestClient(t *testing.T) {
	dir := t.TempDir()
	bridge, client := filepath.Join(dir, "bridge"), filepath.Join(dir, "client")
	build(t, "-o", bridge, "./bridge")
	build(t, "-o", client, "./test/conformance/client")
	t.Setenv("GATEHOUSE_BRIDGE", bridge)
	for version, scored := range map[string]int{"2025-11-25": 18, "2026-07-28": 32} {
		t.Run(version, func(t *testing.T) {
			results := suite(t, scored, "client", "--command", client, "--requirements", version)
			compare(t, "client", version, results, nil)
		})
	}
}

func run(t *testing.T, endpoint, version string) map[string]bool {
	t.Helper()
	return suite(t, required[version], "server", "--url", endpoint, "--requirements", version)
}

// suite runs the official suite, which scores so many scenarios.
func suite(t *testing.T, scored int, args ...string) map[string]bool {
	t.Helper()
	modules := filepath.Join(root, ".cache/conformance/node_modules")
	cmd := exec.CommandContext(t.Context(), filepath.Join(modules, "node/bin/node"),
		append([]string{filepath.Join(modules, ".bin/conformance")}, args...)...)
	out, err := cmd.CombinedOutput()
	results, readErr := conformance.Results(bytes.NewReader(out))
	if readErr != nil {
		t.Fatal(readErr)
	}
	if len(results) != scored {
		t.Fatalf("%d scenarios were scored, want %d (%v)\n%s", len(results), scored, err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", out)
		}
	})
	return results
}

func compare(t *testing.T, child, version string, results map[string]bool, known map[string]string) {
	passed := 0
	for scenario, ok := range results {
		reason, expected := known[fmt.Sprintf("%s %s %s", child, version, scenario)]
		switch {
		case ok && expected:
			t.Errorf("%s passes now: take it out of baseline.txt", scenario)
		case !ok && !expected:
			t.Errorf("%s fails", scenario)
		case !ok:
			t.Logf("%s cannot pass: %s", scenario, reason)
		}
		if ok {
			passed++
		}
	}
	t.Logf("%s child, %s: %d/%d", child, version, passed, len(results))
}
