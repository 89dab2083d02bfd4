package fleet_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// slow is a server as an interpreter starts it: it reads nothing for a while, and
// nothing as long as there is shut(dir). Each child that has come so far makes a
// file in the folder.
func slow(dir string) func(*fleet.ServerConfig) {
	return func(c *fleet.ServerConfig) {
		c.Spec.Argv = []string{"sh", "-c", `sleep 1.5; while [ -e "$2" ]; do sleep 0.1; done; : > "$1/$$"; exec "$0"`,
			c.Spec.Argv[0], dir, shut(dir)}
		c.Identity, c.Isolation, c.Warm = fleet.TellsNone, fleet.PerSession, 2
	}
}

func shut(dir string) string { return dir + "-shut" }

// ready waits until so many children have come so far.
func ready(t *testing.T, dir string, n int) {
	t.Helper()
	fronttest.Eventually(t, "children are ready", func() bool {
		files, err := filepath.Glob(dir + "/*")
		return err == nil && len(files) >= n
	})
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
	`"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// TestASignedCallerTakesAWarmChild, with a session and without one: it was told
// nothing of anybody, and its start is long over.
func TestASignedCallerTakesAWarmChild(t *testing.T) {
	dir := t.TempDir()
	server := newServer(t, slow(dir))
	server.Warm()
	ready(t, dir, 3) // two and the one that tells the health
	// What starts from now on comes nowhere, so who waits for that waits in vain.
	if err := os.WriteFile(shut(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	alice := &contract.Identity{Subject: "alice", SessionID: "1", Roles: []string{"writer"}}
	conn, err := server.ForSession(ctx, alice, "test")
	if err != nil {
		t.Fatal(err)
	}
	link, err := conn.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if _, err := link.Ask(ctx, []byte(initialize)); err != nil {
		t.Fatalf("a session has no child that is ready: %v", err)
	}
	if told := asks(t, conn, "user") + asks(t, conn, "roles"); strings.Contains(told, "alice") ||
		strings.Contains(told, "writer") {
		t.Errorf("the child was told %s", told)
	}
	bob := &contract.Identity{Subject: "bob", SessionID: "2"}
	lease, err := server.Pool().AcquireModern(ctx, bob, func() error { return nil })
	if err != nil {
		t.Fatalf("a call has no child that is ready: %v", err)
	}
	defer lease.Release()
	if err := os.Remove(shut(dir)); err != nil {
		t.Fatal(err)
	}
	ready(t, dir, 5) // their places are filled again
}

// TestThePoolFollowsDemand: who opens many sessions finds more children ready,
// and they end when nobody asks any more.
func TestThePoolFollowsDemand(t *testing.T) {
	dir := t.TempDir()
	server := newServer(t, slow(dir), func(c *fleet.ServerConfig) { c.Turns = fleet.SomeTurns(64, 64) })
	server.Warm()
	ready(t, dir, 3)
	taken := 0
	waiting := func() int64 {
		return server.Stats.Started.Load() - server.Stats.Ended.Load() - int64(taken)
	}
	fronttest.Eventually(t, "the one that tells the health has ended", func() bool { return waiting() == 2 })
	for range 20 {
		if _, err := server.ForSession(t.Context(), &contract.Identity{Subject: "alice"}, "test"); err != nil {
			t.Fatal(err)
		}
		taken++
	}
	fronttest.Eventually(t, "more than two wait", func() bool {
		server.Sweep(time.Now())
		return waiting() > 2
	})
	later := time.Now().Add(10 * time.Minute)
	fronttest.Eventually(t, "two wait", func() bool {
		server.Sweep(later)
		return waiting() == 2
	})
}

// TestWhatIsStartedAheadLeavesRoom: a quarter of the children that may be is for
// those that somebody asks for.
func TestWhatIsStartedAheadLeavesRoom(t *testing.T) {
	server := newServer(t, func(c *fleet.ServerConfig) {
		c.Identity, c.Isolation, c.Warm, c.Starter.Max = fleet.TellsNone, fleet.PerSession, 50, 8
	})
	server.Warm()
	fronttest.Eventually(t, "some wait", func() bool {
		server.Sweep(time.Now())
		return server.Stats.Started.Load() >= 6
	})
	for range 5 {
		server.Sweep(time.Now())
	}
	if n := server.Stats.Started.Load() - server.Stats.Ended.Load(); n > 6 {
		t.Errorf("%d of 8 children were started for nobody", n)
	}
}
