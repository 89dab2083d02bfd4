package session

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// sleepy is a session on a strict child that sleeps when the test says so: the
// sweep of the table does not come to it.
func sleepy(t *testing.T, change ...func(*fleet.ServerConfig)) *strict {
	t.Helper()
	s := newStrictFrom(t, func(c *fleet.ServerConfig) {
		c.Limits.Sleep = time.Hour
		for _, more := range change {
			more(c)
		}
	})
	s.initialize()
	return s
}

// sleeps lets the session fall asleep, as after its time.
func (s *strict) sleeps() {
	s.t.Helper()
	conn := s.link.Conn()
	if !s.dozes() {
		s.t.Fatal("it does not sleep")
	}
	if s.server.Isolation == fleet.PerSession {
		<-conn.Done()
	}
}

func (s *strict) dozes() bool { return s.doze(time.Now().Add(2*time.Hour), time.Hour) }

func (s *strict) started() int64 { return s.server.Stats.Started.Load() }

func TestTheNextCallWakesASession(t *testing.T) {
	s := sleepy(t)
	s.ask(mux.MethodSetLevel, `{"level":"error"}`)
	s.sleeps()
	if n := s.table.Asleep()[""]; n != 1 || s.started() != 1 {
		t.Errorf("%d sleep, %d children were started", n, s.started())
	}
	if got := s.told(); !strings.Contains(got, `{"told":"error"}`) {
		t.Errorf("the new child was told %s", got)
	}
	stats := &s.server.Stats
	if stats.Slept.Load() != 1 || stats.Woken.Load() != 1 || stats.NotWoken.Load() != 0 || stats.Restarted.Load() != 0 {
		t.Errorf("slept %d, woken %d, not woken %d, restarted %d; want 1, 1, 0, 0",
			stats.Slept.Load(), stats.Woken.Load(), stats.NotWoken.Load(), stats.Restarted.Load())
	}
	if n := s.table.Asleep()[""]; n != 0 {
		t.Errorf("%d sleep", n)
	}
}

// TestWhatKeepsAChild: whatever is open, or is to come by itself.
func TestWhatKeepsAChild(t *testing.T) {
	s := sleepy(t)
	free := s.make(waits)
	call := make(chan string, 1)
	go func() { call <- s.told() }()
	eventually(t, "a call is open", func() bool { return s.link.Conn().Busy() > 0 })
	if s.dozes() {
		t.Error("it sleeps while a call is open")
	}
	free()
	<-call
	if s.doze(time.Now(), time.Hour) {
		t.Error("it sleeps right after a call")
	}
	s.ask(mux.MethodSubscribe, `{"uri":"open"}`)
	if s.dozes() {
		t.Error("it sleeps while its client is subscribed")
	}
	s.ask(mux.MethodUnsubscribe, `{"uri":"open"}`)
	s.ask(mux.MethodSubscribe, fmt.Sprintf(`{"uri":"large","pad":%q}`, strings.Repeat("x", maxKept)))
	if s.dozes() {
		t.Error("it sleeps while its client is subscribed to more than is remembered")
	}
}

// TestAQuestionKeepsAChild, for its client may take long to answer.
func TestAQuestionKeepsAChild(t *testing.T) {
	s := sleepy(t)
	s.make(asks)
	s.ask(mux.MethodSubscribe, `{"uri":"open"}`)
	s.ask(mux.MethodUnsubscribe, `{"uri":"open"}`)
	if s.dozes() {
		t.Error("it sleeps while the child waits for an answer")
	}
	if err := s.Send(t.Context(), &s.Owner, message(t, `{"jsonrpc":"2.0","id":"roots","result":{}}`)); err != nil {
		t.Fatal(err)
	}
	if s.doze(time.Now(), time.Hour) {
		t.Error("it sleeps right after the answer")
	}
	s.sleeps()
}

// TestWhatWakesNobody: what is about the last child, and a ping.
func TestWhatWakesNobody(t *testing.T) {
	s := sleepy(t)
	s.sleeps()
	for _, method := range []string{"initialized", "cancelled", "progress", "roots/list_changed"} {
		line := `{"jsonrpc":"2.0","method":"notifications/` + method + `","params":{"requestId":1,"progressToken":1}}`
		if err := s.Send(t.Context(), &s.Owner, message(t, line)); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	if got := s.ask("ping", "{}"); got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
		t.Errorf("a ping is answered %s", got)
	}
	if s.started() != 1 {
		t.Error("a child was started")
	}
	s.told()
	before := s.link.Conn().Quiet(time.Now().Add(time.Hour))
	s.ask("ping", "{}")
	if s.link.Conn().Quiet(time.Now().Add(time.Hour)) < before {
		t.Error("a ping keeps the child")
	}
}

// TestTheCallersOrderHoldsOverAWake: calls reach the new child as they came.
func TestTheCallersOrderHoldsOverAWake(t *testing.T) {
	s := sleepy(t)
	s.sleeps()
	free := s.make(holds)
	const calls = 20
	var all sync.WaitGroup
	want := make([]string, calls)
	for i := range calls {
		want[i] = fmt.Sprint("n", i)
		all.Go(func() { s.asks("resources/read", fmt.Sprintf(`{"uri":%q}`, want[i]), i+2) })
		eventually(t, "it waits in the line", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.turns.waiting) == i+1
		})
	}
	free()
	all.Wait()
	if got := s.told(); !strings.Contains(got, `"`+strings.Join(want, " ")+`"`) {
		t.Errorf("the child was told %s", got)
	}
}

// asks is ask with an id, for calls at once.
func (s *strict) asks(method, params string, id int) string {
	s.t.Helper()
	q := event.NewQueue(1 << 20)
	m := message(s.t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
	if _, err := s.Call(context.Background(), &s.Owner, m, q); err != nil {
		return err.Error()
	}
	for {
		e, ok, err := q.Pop()
		switch {
		case ok:
			return string(e.Bytes())
		case err != nil:
			return err.Error()
		}
		<-q.Wake()
	}
}

// TestAFailedWakeIsTheErrorOfThatCall, and the next one tries again.
func TestAFailedWakeIsTheErrorOfThatCall(t *testing.T) {
	s := sleepy(t)
	s.sleeps()
	free := s.make(refuses)
	if got := s.told(); !strings.Contains(got, "not today") {
		t.Errorf("the call is answered %s", got)
	}
	if err := s.Err(); err != nil || !s.asleep() {
		t.Errorf("the session has ended: %v", err)
	}
	free()
	if got := s.told(); !strings.Contains(got, `"result"`) {
		t.Errorf("the next call is answered %s", got)
	}
	if n := s.server.Stats.NotWoken.Load(); n != 1 {
		t.Errorf("%d wakes failed", n)
	}
}

// waking begins a wake that does not end until free, and returns what its call
// is answered.
func (s *strict) waking() (answer <-chan string, free func()) {
	s.t.Helper()
	s.sleeps()
	free = s.make(holds)
	got := make(chan string, 1)
	go func() { got <- s.told() }()
	eventually(s.t, "the new child is asked to initialise", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.link != nil && s.link.Conn().Busy() > 0
	})
	return got, free
}

func TestASessionThatEndsWhileItWakes(t *testing.T) {
	s := sleepy(t)
	answer, free := s.waking()
	defer free()
	s.End(ErrDeleted)
	if got := <-answer; strings.Contains(got, `"result"`) {
		t.Errorf("the call is answered %s", got)
	}
	eventually(t, "its child is gone", func() bool { return s.server.Stats.Ended.Load() == 2 })
}

func TestALoginThatEndsWhileItsSessionSleeps(t *testing.T) {
	s := sleepy(t)
	s.sleeps()
	s.table.EndSIDs([]string{"login"})
	if err := s.Err(); !errors.Is(err, ErrLoginOver) {
		t.Errorf("the session has ended: %v", err)
	}
	if got := s.told(); strings.Contains(got, `"result"`) || s.started() != 1 {
		t.Errorf("%d children were started; the call is answered %s", s.started(), got)
	}
}

// TestADrainEndsWhatSleepsAtOnce, and waits for a call that wakes.
func TestADrainEndsWhatSleepsAtOnce(t *testing.T) {
	s := sleepy(t)
	other := &strict{openOn(t, s.table, s.server), t, s.dir}
	other.initialize()
	answer, free := s.waking()
	if other.link != nil {
		other.sleeps()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	drained := make(chan struct{})
	go func() { defer close(drained); s.table.Drain(ctx) }()
	<-other.Done()
	if s.Err() != nil {
		t.Error("the session ends before its call is answered")
	}
	free()
	if got := <-answer; !strings.Contains(got, `"result"`) {
		t.Errorf("the call that wakes is answered %s", got)
	}
	<-s.Done()
	<-drained
}

// TestAServerThatGoesWhileItsSessionsSleep: its entry has changed.
func TestAServerThatGoesWhileItsSessionsSleep(t *testing.T) {
	s := sleepy(t)
	s.sleeps()
	if err := s.table.Retire(t.Context(), s.server); err != nil {
		t.Error(err)
	}
	if err := s.Err(); !errors.Is(err, ErrRetired) {
		t.Errorf("the session has ended: %v", err)
	}
}

// TestACallAtTheMomentOfFallingAsleep is answered, whatever comes first.
func TestACallAtTheMomentOfFallingAsleep(t *testing.T) {
	for _, isolation := range []fleet.Isolation{fleet.PerSession, fleet.PerUser} {
		t.Run(string(isolation), func(t *testing.T) {
			s := sleepy(t, func(c *fleet.ServerConfig) { c.Isolation = isolation })
			stop, tired := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(tired)
				for {
					select {
					case <-stop:
						return
					default:
						s.dozes()
						s.server.Pool().Yield(time.Now().Add(2*time.Hour), time.Hour)
					}
				}
			}()
			var all sync.WaitGroup
			for caller := range 4 {
				all.Go(func() {
					for i := range 25 {
						if got := s.asks("resources/read", `{"uri":"r"}`, 100*caller+i); !strings.Contains(got, `"result"`) {
							t.Errorf("a call is answered %s", got)
						}
					}
				})
			}
			all.Wait()
			close(stop)
			<-tired
			t.Logf("slept %d times", s.server.Stats.Slept.Load())
			if s.server.Stats.NotWoken.Load() > 0 {
				t.Error("a wake failed")
			}
		})
	}
}

// TestAUsersChildSleepsWithTheLastOfHisSessions.
func TestAUsersChildSleepsWithTheLastOfHisSessions(t *testing.T) {
	s := sleepy(t, func(c *fleet.ServerConfig) { c.Isolation = fleet.PerUser })
	other := &strict{openOn(t, s.table, s.server), t, s.dir}
	other.initialize()
	other.told()
	conn := other.link.Conn()
	free := s.make(waits)
	answer := make(chan string, 1)
	go func() { answer <- s.told() }()
	eventually(t, "a call is open", func() bool { return conn.Busy() > 0 })
	if other.dozes() {
		t.Error("one sleeps while another's call is open on the child of both")
	}
	free()
	<-answer
	s.sleeps()
	other.sleeps()
	later := time.Now().Add(2 * time.Hour)
	s.server.Sweep(later)
	<-conn.Done()
	third := &strict{openOn(t, s.table, s.server), t, s.dir}
	if got := third.ask("initialize", `{"protocolVersion":"2025-03-26"}`); !strings.Contains(got, `"2025-03-26"`) {
		t.Errorf("the next session's initialize is answered %s", got)
	}
	if s.started() != 1 {
		t.Error("it needs a child")
	}
	if got := s.told() + other.told(); strings.Count(got, `"result"`) != 2 || s.started() != 2 {
		t.Errorf("%d children were started; the calls are answered %s", s.started(), got)
	}
}

// TestTheNextSessionOfAClientNeedsNoChild: its initialize is answered as before,
// and for nobody else.
func TestTheNextSessionOfAClientNeedsNoChild(t *testing.T) {
	s := sleepy(t)
	again := &strict{openOn(t, s.table, s.server), t, s.dir}
	again.initialize()
	if s.started() != 1 || again.link != nil || !again.asleep() {
		t.Errorf("%d children were started", s.started())
	}
	first := s.initialized("alice", `"2025-06-18"`)
	if !strings.Contains(first, `"name":"strict"`) || s.started() != 1 {
		t.Errorf("%d children were started; initialize is answered %s", s.started(), first)
	}
	if got := again.told(); !strings.Contains(got, `{"told":""}`) || s.started() != 2 {
		t.Errorf("%d children were started; the call is answered %s", s.started(), got)
	}
	s.initialized("bob", `"2025-06-18"`)
	s.initialized("alice", `"2025-03-26"`)
	if s.started() != 4 {
		t.Errorf("%d children were started; another user, or other words, need one each", s.started())
	}
}

// initialized opens a session of a user, and returns what initialize is
// answered.
func (s *strict) initialized(user, version string) string {
	s.t.Helper()
	mine, err := s.table.Open(s.server, contract.Identity{Subject: user, SessionID: "login"}, "sse")
	if err != nil {
		s.t.Fatal(err)
	}
	one := &strict{mine, s.t, s.dir}
	return one.ask("initialize",
		`{"protocolVersion":`+version+`,"capabilities":{},"clientInfo":{"name":"s","version":"1"}}`)
}

// TestACrowdedMachineLetsTheIdlestSleep where one wants a child.
func TestACrowdedMachineLetsTheIdlestSleep(t *testing.T) {
	s := sleepy(t, func(c *fleet.ServerConfig) { c.Starter.Max = 1 })
	other := &strict{openOn(t, s.table, s.server), t, s.dir}
	other.initialize()
	if got := other.told(); !strings.Contains(got, `"result"`) {
		t.Errorf("the call is answered %s", got)
	}
	if !s.asleep() {
		t.Error("the other does not sleep")
	}
}

// TestASleepingSessionIsSmall: what it keeps is what its next child needs.
func TestASleepingSessionIsSmall(t *testing.T) {
	s := sleepy(t)
	s.table.limits.SessionsPerUser = 0
	const sessions, most = 1000, 3 << 10
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := held()
	for range sessions {
		one := &strict{openOn(t, s.table, s.server), t, s.dir}
		one.initialize()
		if !one.asleep() {
			t.Fatal("it does not sleep")
		}
	}
	each := (held() - before) / sessions
	t.Logf("%d bytes", each)
	if each > most {
		t.Errorf("a session that sleeps holds %d bytes, want at most %d", each, most)
	}
}

// meanwhile is a guard that does something while a call is on its way.
type meanwhile struct{ do func() }

func (g *meanwhile) Again(context.Context, *mux.CallInfo) error { return nil }

func (g *meanwhile) Begin(context.Context, *mux.CallInfo) (mux.Watch, error) {
	g.do()
	return nil, nil
}

// TestACallOnItsWayKeepsTheChild that it is for, before that has heard of it.
func TestACallOnItsWayKeepsTheChild(t *testing.T) {
	guard := &meanwhile{do: func() {}}
	s := sleepy(t, func(c *fleet.ServerConfig) { c.Guard = guard })
	slept := false
	guard.do = func() { slept = s.dozes() }
	if got := s.told(); slept || !strings.Contains(got, `"result"`) {
		t.Errorf("it sleeps: %v; the call is answered %s", slept, got)
	}
}
