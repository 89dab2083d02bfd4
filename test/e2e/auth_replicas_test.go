//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// Two replicas are asked 200 times at once for a session whose token has just
// lapsed. Keycloak's refresh tokens serve once: a second refresh with the same
// one would end the session.
func TestNativeTwoReplicasRefreshOnce(t *testing.T) {
	changed(t, "mcp-gateway", map[string]string{"access.token.lifespan": shortTokens})
	notedEvents(t, "REFRESH_TOKEN", "REFRESH_TOKEN_ERROR")
	replicas := []string{fmt.Sprintf("http://127.0.0.1:%d", gate.Ports.Authsvc), secondReplica(t)}
	who := newPerson(t)
	cookie := sessionCookie(t, signIn(t, who.name))
	<-time.After(7 * time.Second) // the token's life has to pass
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, replicas[i%2]+"/auth", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Cookie", cookie)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("request %d: %s %s", i, res.Status, res.Header.Get("X-Auth-Status"))
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	var events []struct{ Type string }
	admin(t, http.MethodGet, "/events?user="+who.id, nil, &events)
	if len(events) != 1 || events[0].Type != "REFRESH_TOKEN" {
		t.Errorf("Keycloak saw %v, want one refresh", events)
	}
	t.Logf("200 requests on 2 replicas in %.1f s, %d refresh at Keycloak", took.Seconds(), len(events))
}

// secondReplica is another authsvc beside the gate's own.
func secondReplica(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	public, internal := freeport.Addr(t), freeport.Addr(t)
	cmd := exec.Command(
		filepath.Join(repository(t), "bin", "authsvc"),
		"--listen",
		public,
		"--internal-listen",
		internal,
		"--public-url",
		gate.URL,
		"--issuer",
		gate.Issuer,
		"--client-id",
		"mcp-gateway",
		"--require-role",
		"mcp-user",
		"--client-secret-file",
		filepath.Join(gate.Dir, "client-secret"),
		"--store-key-file",
		filepath.Join(gate.Dir, "store-key"),
		"--redis-url",
		fmt.Sprintf("redis://127.0.0.1:%d", gate.Ports.Redis),
	)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the second authsvc: %v\n%s", err, said.String())
		}
	})
	eventually(t, 20*time.Second, "the second authsvc is ready", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+internal+"/health/ready", nil)
		if err != nil {
			return false
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		return res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
	return "http://" + public
}
