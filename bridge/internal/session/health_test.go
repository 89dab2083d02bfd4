package session

import (
	"strings"
	"testing"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

const crash = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"name":"crash","protocolVersion":"2025-06-18"}}`

// openFor opens a session of a user and sends its first line.
func openFor(t *testing.T, s *strict, user, line string) error {
	t.Helper()
	mine, err := s.table.Open(s.server, contract.Identity{Subject: user, SessionID: "login of " + user}, "sse")
	if err != nil {
		t.Fatal(err)
	}
	defer mine.End(ErrDeleted)
	q := event.NewQueue(1 << 20)
	if _, err := mine.Call(t.Context(), &mine.Owner, message(t, line), q); err != nil {
		return err
	}
	<-q.Wake()
	return nil
}

// TestWhoCrashesChildrenIsRefusedAlone: the bridge asks a child of its own, and
// the server is healthy for everybody else.
func TestWhoCrashesChildrenIsRefusedAlone(t *testing.T) {
	s := newStrict(t, nil)
	var refused error
	for range 2 + 4*fleet.FreeFails {
		if err := openFor(t, s, "mallory", crash); err != nil {
			refused = err
		}
	}
	if refused == nil || !strings.Contains(refused.Error(), "exit status 7") {
		t.Errorf("who crashes one child after the other is told %v", refused)
	}
	for range 4 {
		if err := openFor(t, s, "bob", initializeLine); err != nil {
			t.Errorf("another user is told %v", err)
		}
	}
	if err := s.server.Health(); err != nil {
		t.Errorf("the server is not healthy: %v", err)
	}
}

// TestWhereAllAreOneUserNobodyIsBlamed (--identity none).
func TestWhereAllAreOneUserNobodyIsBlamed(t *testing.T) {
	s := newStrictFrom(t, func(c *fleet.ServerConfig) { c.Limits.SessionsPerUser = 0 })
	for range 2 + 4*fleet.FreeFails {
		_ = openFor(t, s, "local", crash)
	}
	if err := openFor(t, s, "local", initializeLine); err != nil {
		t.Errorf("another client is told %v", err)
	}
	if err := s.server.Health(); err != nil {
		t.Errorf("the server is not healthy: %v", err)
	}
}

// untilUnhealthy asks for a look until one has seen the fault: while the last
// one of before is not quite over, another is not begun.
func (s *strict) untilUnhealthy(fault string) {
	s.t.Helper()
	eventually(s.t, fault+": it is unhealthy", func() bool {
		s.server.Check()
		return s.server.Health() != nil
	})
}

// TestHealthIsWhetherAChildCanBeMadeReady, which nobody needs to call for, and
// it is found out when it is mended.
func TestHealthIsWhetherAChildCanBeMadeReady(t *testing.T) {
	s := newStrict(t, nil)
	for _, fault := range []string{refuses, crashes} {
		mend := s.make(fault)
		s.untilUnhealthy(fault)
		if err := openFor(t, s, "bob", initializeLine); err == nil {
			t.Errorf("%s: a caller has to find out again", fault)
		}
		mend()
		eventually(t, fault+" no more: it is healthy", func() bool { return s.server.Health() == nil })
		if err := openFor(t, s, "bob", initializeLine); err != nil {
			t.Errorf("%s no more: a caller is told %v", fault, err)
		}
	}
}

// TestWarmChildrenComeBack after starts that failed, and after they died.
func TestWarmChildrenComeBack(t *testing.T) {
	s := newStrictFrom(t, func(c *fleet.ServerConfig) { c.Warm = 2 })
	alive := func() bool { return s.server.Stats.Started.Load()-s.server.Stats.Ended.Load() == 2 }
	mend := s.make(crashes)
	s.untilUnhealthy(crashes)
	s.server.Warm()
	mend()
	eventually(t, "two wait", alive)
	took, err := s.server.ForSession(t.Context(), &contract.Identity{Subject: "local"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	took.Kill()
	<-took.Done()
	eventually(t, "two wait again", alive)
}
