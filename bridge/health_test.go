package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// health asks an admin page for its status and its parts.
func health(t *testing.T, admin, page string) (status int, parts map[string]string) {
	t.Helper()
	res, err := http.Get("http://" + admin + "/health/" + page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Parts map[string]string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer.Parts
}

// TestReadinessIsWhatItSays: live whatever happens, ready only where a server
// can be started and its callers be known.
func TestReadinessIsWhatItSays(t *testing.T) {
	for name, tc := range map[string]struct {
		server string // "" is this test's own, which can be started
		args   []string
		failed string // the part that is not ready; "" is ready
	}{
		"all is well":           {},
		"a server that ends":    {server: "/bin/false", failed: "servers"}, // nobody has to call for it
		"nobody knows the keys": {args: []string{"--identity", "signed", "--identity-keys", "http://127.0.0.1:1/internal/keys"}, failed: "identity keys"},
	} {
		t.Run(name, func(t *testing.T) {
			admin := freeport.Addr(t)
			server := tc.server
			if server == "" {
				newRecord(t)
				server = "/proc/self/exe"
			}
			startBefore(t, server, append(tc.args, "--admin-listen", admin)...)
			want := http.StatusOK
			if tc.failed != "" {
				want = http.StatusServiceUnavailable
			}
			deadline := time.Now().Add(10 * time.Second)
			status, parts := health(t, admin, "ready")
			for status != want && time.Now().Before(deadline) {
				<-time.After(20 * time.Millisecond)
				status, parts = health(t, admin, "ready")
			}
			if status != want || tc.failed != "" && parts[tc.failed] != "failed" {
				t.Errorf("ready answers %d %v, want %d with %q", status, parts, want, tc.failed)
			}
			if live, _ := health(t, admin, "live"); live != http.StatusOK {
				t.Errorf("live answers %d", live)
			}
		})
	}
}
