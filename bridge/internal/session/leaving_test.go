package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
)

// TestAClientThatLeavesEarlySaysNothingOfTheServer: a child that was stopped
// before its first word did not fail to start, and others must not be refused.
func TestAClientThatLeavesEarlySaysNothingOfTheServer(t *testing.T) {
	s := newStrict(t, nil)
	free := s.make(holds)
	defer free()
	for range 2 * fleet.FreeFails {
		early := openOn(t, s.table, s.server)
		if _, err := early.Call(t.Context(), &early.Owner, message(t, initializeLine), event.NewQueue(1<<20)); err != nil {
			t.Fatal(err)
		}
		conn := early.link.Conn()
		early.End(ErrDeleted)
		<-conn.Done()
	}
	if err := s.server.Health(); err != nil {
		t.Errorf("others are refused: %v", err)
	}
	free()
	s.initialize()
	if got := s.told(); !strings.Contains(got, `"result"`) {
		t.Error(got)
	}
}

// TestAChildThatEndsByItselfFailed, also where its client leaves because of it.
func TestAChildThatEndsByItselfFailed(t *testing.T) {
	s := newStrictFrom(t, func(c *fleet.ServerConfig) { c.Spec.Argv = []string{"/bin/false"} })
	end := sinkFunc(func(event.Event) { s.End(event.ErrEnded) })
	if _, err := s.Call(t.Context(), &s.Owner, message(t, initializeLine), end); err != nil {
		s.End(event.ErrEnded) // it had ended before it could be told anything
	}
	<-s.Done()
	eventually(t, "a failure is counted", func() bool { return s.server.Stats.Ended.Load() > 0 })
	if n := s.server.Stats.Failed.Load(); n == 0 {
		t.Errorf("%d failures are counted", n)
	}
}

type sinkFunc func(event.Event)

func (f sinkFunc) Push(e event.Event) bool { f(e); return true }

// TestTheNextCallLearnsHowTheLastChildEnded: it waits for the exit status and
// the last words, or has a new child; the pipe that broke is nobody's business.
func TestTheNextCallLearnsHowTheLastChildEnded(t *testing.T) {
	s := newStrictFrom(t, func(c *fleet.ServerConfig) { c.Child.StdinGrace = 10 * time.Second })
	s.initialize()
	for n := range 12 {
		s.ask("tools/call", `{"name":"bye"}`)
		time.Sleep(time.Duration(n) * 3 * time.Millisecond) // before, while and after it ends
		if err := s.Send(t.Context(), &s.Owner, message(t, `{"jsonrpc":"2.0","method":"notifications/x"}`)); err != nil {
			t.Errorf("a notification after %d ms: %v", 3*n, err)
		}
		got := s.told()
		told := strings.Contains(got, "exit status 3") && strings.Contains(got, "my last words")
		if !told && !strings.Contains(got, `"result"`) {
			t.Errorf("a call after %d ms: %s", 3*n, got)
		}
		s.restart.Good()
	}
}

// TestASilentChildThatHadItsTimeCannotStart, whoever ends it.
func TestASilentChildThatHadItsTimeCannotStart(t *testing.T) {
	s := newStrictFrom(t, func(c *fleet.ServerConfig) { c.Limits.Start = time.Nanosecond })
	defer s.make(holds)()
	if _, err := s.Call(t.Context(), &s.Owner, message(t, initializeLine), event.NewQueue(1<<20)); err != nil {
		t.Fatal(err)
	}
	conn := s.link.Conn()
	s.End(ErrDeleted)
	<-conn.Done()
	if n := s.server.Stats.Failed.Load(); n < 1 { // the bridge's own check may have failed too
		t.Errorf("%d failures are counted", n)
	}
}

// TestTheEndOfALoginWaitsForNoChild: one that does not read must not keep the
// sessions of others open (Contract 3: 5 s).
func TestTheEndOfALoginWaitsForNoChild(t *testing.T) {
	s := newStrictOn(t, fleet.Shared, nil)
	other := openOn(t, s.table, s.server)
	s.initialize()
	conn := s.link.Conn()
	defer conn.Kill()
	call := func(s *Session, id, params string) {
		m := message(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":`+params+`}`)
		if _, err := s.Call(context.Background(), &s.Owner, m, event.NewQueue(1<<20)); err != nil {
			t.Error(err)
		}
	}
	call(other, "1", `{"name":"told"}`)
	eventually(t, "the other has its child", func() bool { return conn.Busy() == 0 })
	call(s.Session, "1", `{"name":"stuck"}`)
	call(other, "2", `{"name":"told","pad":"`+strings.Repeat("x", 1<<20)+`"}`) // more than a pipe holds
	if n := conn.Busy(); n != 2 {
		t.Errorf("%d calls are in flight", n)
	}
	s.table.EndSIDs([]string{"login"})
	if s.Err() == nil || conn.Dead() != nil {
		t.Errorf("the session: %v; the child: %v", s.Err(), conn.Dead())
	}
}

// TestSubscriptionsOfOneWhoLeavesASharedChild end there with the last who
// wanted them.
func TestSubscriptionsOfOneWhoLeavesASharedChild(t *testing.T) {
	s := newStrictOn(t, fleet.Shared, nil)
	other := &strict{openOn(t, s.table, s.server), t, s.dir}
	for _, each := range []*strict{s, other} {
		each.initialize()
		each.ask(mux.MethodSubscribe, `{"uri":"both"}`)
	}
	s.ask(mux.MethodSubscribe, `{"uri":"hers"}`)
	s.End(ErrDeleted)
	eventually(t, "the child is told", func() bool { return strings.HasSuffix(other.told(), `"both both hers -hers"}}`) })
}

// TestSubscriptionsOnASharedChildAreBounded in bytes.
func TestSubscriptionsOnASharedChildAreBounded(t *testing.T) {
	s := newStrictOn(t, fleet.Shared, nil)
	s.initialize()
	for i := range 4 {
		got := s.ask(mux.MethodSubscribe, fmt.Sprintf(`{"uri":"%d%s"}`, i, strings.Repeat("u", maxKept/3)))
		if refused := strings.Contains(got, "subscriptions"); refused != (i > 1) {
			t.Errorf("subscription %d: %.200s", i, got)
		}
	}
	s.ask(mux.MethodUnsubscribe, `{"uri":"0`+strings.Repeat("u", maxKept/3)+`"}`)
	if got := s.ask(mux.MethodSubscribe, `{"uri":"small"}`); strings.Contains(got, "error") {
		t.Errorf("there is room again, and it is refused: %s", got)
	}
}

// eventually waits for a condition, 20 s at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("not in 20 s: %s", what)
}
