package fleet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) { fronttest.Main(m) }

func newServer(t *testing.T, changes ...func(*fleet.ServerConfig)) *fleet.Server {
	t.Helper()
	starter := child.NewStarter()
	cfg := fleet.ServerConfig{
		Spec: fronttest.Spec(fronttest.Plain), Starter: starter,
		Child:     child.Options{StdinGrace: 20 * time.Millisecond, TermGrace: time.Second},
		Isolation: fleet.PerUser, Limits: fleet.DefaultLimits(), Log: zerolog.Nop(),
	}
	for _, change := range changes {
		change(&cfg)
	}
	server := fleet.NewServer(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Close(ctx)
		starter.Close()
	})
	return server
}

// TestAUserWhoSignsInAgainAndAgainIsBounded: each login has a warm child.
func TestAUserWhoSignsInAgainAndAgainIsBounded(t *testing.T) {
	server := newServer(t, func(c *fleet.ServerConfig) { c.Limits.Sessions, c.Limits.SessionsPerUser = 2, 1 })
	acquire := func(user, login string) (*fleet.Lease, error) {
		return server.Pool().Acquire(t.Context(), &contract.Identity{Subject: user, SessionID: login})
	}
	first, err := acquire("alice", "1")
	if err != nil {
		t.Fatal(err)
	}
	var full *mux.Refusal
	if _, err := acquire("alice", "2"); !errors.As(err, &full) || !full.Full {
		t.Errorf("a second child in use: %v", err)
	}
	other, err := acquire("bob", "3")
	if err != nil {
		t.Fatalf("another user: %v", err)
	}
	if _, err := acquire("carol", "4"); !errors.As(err, &full) || full.Full {
		t.Errorf("a third child in use: %v", err)
	}
	first.Release()
	second, err := acquire("alice", "2")
	if err != nil {
		t.Fatalf("beside an idle child: %v", err)
	}
	select {
	case <-first.Conn.Done(): // it made room
	case <-time.After(20 * time.Second):
		t.Error("the idle child did not make room")
	}
	second.Release()
	other.Release()
}

// asks has a child answer a tool of its own.
func asks(t *testing.T, conn *mux.Conn, tool string) string {
	t.Helper()
	link, err := conn.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	result, err := link.Ask(t.Context(), []byte(fronttest.Call("1", tool, "", 0)))
	if err != nil {
		t.Fatal(err)
	}
	return string(result)
}

// TestAChildKnowsItsUserAsHeIsNow: who comes with other roles gets another
// child; those who have the old one keep it, and whoever comes with the old roles
// again finds it.
func TestAChildKnowsItsUserAsHeIsNow(t *testing.T) {
	server := newServer(t, func(*fleet.ServerConfig) {})
	acquire := func(roles ...string) *fleet.Lease {
		t.Helper()
		lease, err := server.Pool().Acquire(t.Context(), &contract.Identity{Subject: "alice", SessionID: "1", Roles: roles})
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	old := acquire("reader")
	beside := acquire("reader")
	now := acquire("reader", "writer")
	if old.Conn != beside.Conn || old.Conn == now.Conn {
		t.Errorf("children: %p and %p, then %p", old.Conn, beside.Conn, now.Conn)
	}
	if told := asks(t, now.Conn, "roles"); !strings.Contains(told, "reader,writer") {
		t.Errorf("the new child was told %s", told)
	}
	if told := asks(t, old.Conn, "roles"); strings.Contains(told, "writer") {
		t.Errorf("the old child was told %s", told)
	}
	now.Release()
	if again := acquire("reader"); again.Conn != old.Conn {
		t.Error("the old roles have a third child")
	}
	if again := acquire("reader", "writer"); again.Conn != now.Conn {
		t.Error("the new roles have a third child")
	}
}

// TestAChildThatIsToldNothingKnowsEverybody: nothing of an identity makes another
// child for it.
func TestAChildThatIsToldNothingKnowsEverybody(t *testing.T) {
	server := newServer(t, func(c *fleet.ServerConfig) { c.Identity = fleet.TellsNone })
	conns := map[*mux.Conn]bool{}
	for _, role := range []string{"reader", "writer"} {
		id := &contract.Identity{Subject: "alice", SessionID: "1", Roles: []string{role}}
		lease, err := server.Pool().Acquire(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		conns[lease.Conn] = true
		if told := asks(t, lease.Conn, "user") + asks(t, lease.Conn, "roles"); strings.Contains(told, "alice") ||
			strings.Contains(told, role) {
			t.Errorf("the child was told %s", told)
		}
	}
	if len(conns) != 1 {
		t.Errorf("%d children", len(conns))
	}
}

// TestWhatAUsersChildSaysIsNotTheServers: it may name its user.
func TestWhatAUsersChildSaysIsNotTheServers(t *testing.T) {
	for identity, known := range map[fleet.Identity]bool{fleet.TellsUser: false, fleet.TellsNone: true} {
		server := newServer(t, func(c *fleet.ServerConfig) { c.Identity = identity })
		lease, err := server.Pool().Acquire(t.Context(), &contract.Identity{Subject: "alice", SessionID: "1"})
		if err != nil {
			t.Fatal(err)
		}
		lease.Release()
		if (server.Described().Result != nil) != known {
			t.Errorf("identity %q: the server is described by %s", identity, server.Described().Result)
		}
	}
}

// needsUser is a server that ends where it is not told whom it serves.
func needsUser(c *fleet.ServerConfig) {
	c.Spec.Argv = []string{"sh", "-c", `test "$MCP_USER_ID" || exit 9; exec "$0"`, c.Spec.Argv[0]}
	c.Identity = fleet.NeedsUser
}

// TestAServerThatNeedsItsUserIsHealthy: nobody's child is not asked whether it
// starts, nor started.
func TestAServerThatNeedsItsUserIsHealthy(t *testing.T) {
	server := newServer(t, needsUser)
	server.Warm()
	server.Sweep(time.Now())
	lease, err := server.Pool().Acquire(t.Context(), &contract.Identity{Subject: "alice", SessionID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	lease.Release()
	if n := server.Stats.Started.Load(); n != 1 || server.Health() != nil {
		t.Errorf("%d children were started; %v", n, server.Health())
	}
}

// TestAServerThatStartsForNoUserIsUnhealthy, found out from those who called, of
// whom one alone decides nothing; and the next may try again.
func TestAServerThatStartsForNoUserIsUnhealthy(t *testing.T) {
	server := newServer(t, func(c *fleet.ServerConfig) {
		needsUser(c)
		c.Spec.Argv = []string{"sh", "-c", "exit 9"}
	})
	fails := func(user string) {
		_, err := server.Pool().Acquire(t.Context(), &contract.Identity{Subject: user, SessionID: user})
		if err == nil {
			t.Fatalf("%s has a child", user)
		}
	}
	for range 10 {
		fails("mallory")
	}
	if err := server.Health(); err != nil {
		t.Errorf("one user's failures: %v", err)
	}
	fails("alice")
	fails("bob")
	fronttest.Eventually(t, "it is unhealthy", func() bool { return server.Health() != nil })
	fronttest.Eventually(t, "another try may be made", func() bool { return server.Health() == nil })
}
