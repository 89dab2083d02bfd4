//go:build compose

package compose

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/stack"
)

// Docker's proxy comes for every caller from one address: the log says so, and
// one who calls too often is limited alone.
func TestOneAddressForAll(t *testing.T) {
	gate := attach(t)
	busy := func() bool { return floodIsLimited(t, gate, "of-a-busy-colleague") }
	if !busy() {
		t.Error("60 calls at once, again and again, none limited")
	}
	// The other one's session needs several calls; a limit for all would refuse them.
	token, err := gate.Token(t.Context(), stack.Alice)
	if err != nil {
		t.Fatal(err)
	}
	if !busy() {
		t.Error("60 calls at once again, none limited")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+"/mcp", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := gate.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode == http.StatusTooManyRequests {
		t.Error("a calm colleague is limited for the busy one")
	}
	log, err := exec.CommandContext(t.Context(), "docker", "logs", os.Getenv("COMPOSE_PROJECT_NAME")+"-nginx-1").
		CombinedOutput()
	if n := strings.Count(string(log), "the gateway of the container network"); err != nil || n != 1 {
		t.Errorf("%v, the log says it %d times", err, n)
	}
}

// floodIsLimited sends 60 calls at once until one of them is refused, for a minute at
// most: those of a slow machine are not all at once.
func floodIsLimited(t *testing.T, gate *stack.Stack, token string) bool {
	t.Helper()
	client := gate.HTTPClient()
	var limited atomic.Bool
	send := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+"/mcp", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		if res.StatusCode == http.StatusTooManyRequests {
			limited.Store(true)
		}
		return res.Body.Close()
	}
	for end := time.Now().Add(time.Minute); !limited.Load() && time.Now().Before(end); {
		var calls sync.WaitGroup
		for range 60 {
			calls.Go(func() {
				if err := send(); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	}
	return limited.Load()
}

// The override starts no Keycloak of its own, and the gate believes the one
// that it is told.
func TestExistingKeycloak(t *testing.T) {
	gate := attach(t)
	token, err := gate.Token(t.Context(), stack.Alice)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "client-secret")
	text := docker(t, "run", "--rm", "--network", "none", "--user", "0:0",
		"-v", os.Getenv("COMPOSE_PROJECT_NAME")+"_gate:/gate:ro", "gatehouse/nginx", "cat", "/gate/client-secret")
	if err := os.WriteFile(secret, []byte(text), 0o644); err != nil { //nolint:gosec // the container is another user
		t.Fatal(err)
	}
	t.Run("up", func(t *testing.T) {
		t.Setenv("ISSUER", gate.Issuer)
		t.Setenv("ISSUER_INTERNAL", "http://keycloak:8080/auth/realms/gatehouse")
		t.Setenv("CLIENT_SECRET_FILE", secret)
		files := []string{
			"-f", filepath.Join(root, "docker-compose.yml"), "-f", filepath.Join(root, "deploy/compose/existing-keycloak.yml"),
		}
		list := exec.CommandContext(t.Context(), os.Getenv("GATEHOUSE_PARTS"), append(files, "config", "--services")...)
		out, err := list.Output()
		if err != nil || strings.Contains(string(out), "keycloak") || !strings.Contains(string(out), "authsvc") {
			t.Fatalf("%v, services: %s", err, out)
		}
		compose(t, append(files, "up", "--detach", "--wait")...)
		for path, want := range map[string]int{"/mcp": http.StatusOK, "/auth/realms/gatehouse": http.StatusNotFound} {
			const body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":` +
				`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			client := gate.HTTPClient()
			client.Transport = bearer{client.Transport, token}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s: %s, want %d", path, res.Status, want)
			}
		}
	})
	compose(t, "up", "--detach", "--wait")
	session(t, gate)
}
