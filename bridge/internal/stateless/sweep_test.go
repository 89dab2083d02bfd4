package stateless_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/stateless"
)

// TestAQuietCallIsKeptOpen: a call that the server does not answer becomes a
// stream with comments, so that no proxy on the way takes it for dead.
func TestAQuietCallIsKeptOpen(t *testing.T) {
	g := open(t, func(o *stateless.Options) { o.KeepAlive = 60 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := g.request(ctx, "alice", "1", "tools/call", `"name":"never",`, "{}")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("Content-Type %q", kind)
	}
	lines := bufio.NewScanner(resp.Body)
	for comments := 0; comments < 3; {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %d comments: %v", comments, lines.Err())
		}
		if strings.HasPrefix(lines.Text(), ":") {
			comments++
		}
	}
}

// TestACallEndsWithItsLogin: one that is in flight at that time is told so.
func TestACallEndsWithItsLogin(t *testing.T) {
	g := open(t, nil)
	g.expires = time.Now().Add(300 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := g.request(ctx, "alice", "1", "tools/call", `"name":"never",`, "{}")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "login session has ended") {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}
