package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Session is a client's session of the versions before 2026-07-28.
type Session struct {
	ID       ID
	Owner    contract.Identity
	Standing *event.Queue // what belongs to no call
	Streams  *event.Streams
	Version  atomic.Pointer[string] // what initialize agreed on; nil before

	server  *fleet.Server
	table   *Table
	caller  *mux.Caller
	now     atomic.Pointer[shown] // of the last call
	within  bool                  // see OpenWithin
	created time.Time
	readers atomic.Int32 // of Standing; a child's Conn asks under its own lock, so never under mu
	done    chan struct{}

	mu       sync.Mutex
	link     *mux.Link // nil before the first, and while the session sleeps
	lease    *fleet.Lease
	turns    turns    // of those who have something for the child
	init     []byte   // the client's initialize, for a child that is started anew
	settings settings // what a new child must be told beside it
	restart  fleet.Breaker
	stream   *event.Stream
	visitors map[*visitor]struct{}
	used     time.Time
	ended    error
	leaving  *mux.Refusal  // of new calls, when the session is to end with those under way
	end      time.Time     // of the right to it; zero for none
	right    chan struct{} // closed when that or the session has ended
	lapsed   bool          // that has, see lapse.go
}

// Done is closed when the session has ended; Err tells why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is the reason of the end.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Server is the session's server.
func (s *Session) Server() *fleet.Server { return s.server }

// Reading tells that somebody reads the standing queue from now on; the
// function that it returns tells the end of it.
func (s *Session) Reading() (stop func()) {
	s.count(1)
	return sync.OnceFunc(func() { s.count(-1) })
}

func (s *Session) count(n int32) {
	s.readers.Add(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
}

func (s *Session) listening() bool { return s.readers.Load() > 0 }

// Call sends a request of the client. On a child that the bridge initialised
// itself, initialize is answered from what was remembered: two initializes
// never reach one child.
//
// who is the caller as this request shows him: his roles and scopes may be
// others than when the session was opened (he stepped up, or lost a role).
func (s *Session) Call(
	ctx context.Context, who *contract.Identity, m *rpc.Message, sink event.Sink,
) (*mux.Call, error) {
	s.mu.Lock()
	leaving := s.leaving
	s.mu.Unlock()
	if leaving != nil {
		s.server.Stats.Refused.Add(1)
		return nil, leaving
	}
	if m.Method != "initialize" && !s.alive() {
		if err := s.server.Allows(ctx, s.as(who), m, false); err != nil {
			return nil, err
		}
	}
	if s.unheard(m) {
		return nil, s.answer(ctx, who, m, []byte("{}"), sink)
	}
	if m.Method == "initialize" {
		if result := s.recalled(m); result != nil {
			s.remember(keptInit(m))
			return nil, s.answer(ctx, who, m, result, sink)
		}
	}
	link, turn, err := s.live(ctx, m.Method == "initialize")
	if err != nil {
		s.server.Stats.Refused.Add(1)
		return nil, s.asked(err)
	}
	defer turn.over()
	if m.Method == "initialize" {
		s.remember(keptInit(m))
		if link.Conn().Shared() {
			return nil, s.answerInitialize(ctx, who, link.Conn(), m, sink)
		}
	}
	call, err := link.CallAs(ctx, s.as(who), m, s.learns(m, s.settles(m, sink)))
	return call, s.asked(err)
}

// as is the session's caller with the identity of one request. The fronts give
// the same pointer while the same assertion is shown, so it is made once.
func (s *Session) as(who *contract.Identity) *mux.Caller {
	now := s.now.Load()
	if now == nil || now.who != who {
		caller := *s.caller
		caller.Identity = who
		now = &shown{who, &caller}
		s.now.Store(now)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.extend(who)
	}
	return now.caller
}

// shown remembers the caller that was made of an identity, which most requests
// show unchanged.
type shown struct {
	who    *contract.Identity
	caller *mux.Caller
}

func (s *Session) remember(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init = line
}

// Send passes on a notification or a response of the client; who is the caller
// as Call has it.
func (s *Session) Send(ctx context.Context, who *contract.Identity, m *rpc.Message) error {
	if m.Kind == rpc.Response {
		return s.respond(who, m)
	}
	if s.unheard(m) {
		return s.server.Allows(ctx, s.as(who), m, true)
	}
	by := s.as(who) // before a new child is told what he may still say
	link, turn, err := s.live(ctx, false)
	if err != nil {
		return err
	}
	defer turn.over()
	return link.Notify(ctx, by, m)
}

// respond waits for no child and starts none: the one that asked may need the
// answer to become ready, and where it has ended nobody wants it.
func (s *Session) respond(who *contract.Identity, m *rpc.Message) error {
	s.mu.Lock()
	s.used = time.Now()
	s.extend(who)
	link, ended := s.link, s.ended
	s.mu.Unlock()
	switch {
	case ended != nil:
		return &rpc.Error{Code: rpc.CodeSession, Message: ended.Error()}
	case link == nil:
		s.server.Stats.Dropped.Add(1)
		return nil
	}
	return link.Respond(m)
}

// alive reports whether the session has a child.
func (s *Session) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link != nil && s.link.Conn().Dead() == nil
}

// begin is for a session without a child.
func (s *Session) begin(ctx context.Context, first bool) (*mux.Link, error) {
	if r := s.restart.Refusal(time.Now()); r != nil {
		return nil, r
	}
	s.mu.Lock()
	anew := s.init != nil && !first
	asleep := anew && s.link == nil && s.server.Limits().Sleep > 0
	s.mu.Unlock()
	if asleep {
		return s.wake(ctx)
	}
	link, err := s.join(ctx, anew)
	if anew && err == nil {
		s.server.Stats.Restarted.Add(1)
	}
	return link, err
}

// join gives the session a child; one that is anew is told what the client told
// the last one.
func (s *Session) join(ctx context.Context, anew bool) (*mux.Link, error) {
	s.release()
	conn, lease, err := s.child(ctx)
	if err != nil {
		return nil, err
	}
	born := time.Now()
	o := mux.LinkOptions{
		Caller: s.caller, Standing: s.Standing, Listening: s.listening, Lost: func() { s.lost(born) },
	}
	if s.within { // it carries the calls of all that its user does without a session; each client has its own bound
		o.Several, o.Calls = true, s.table.limits.callsOfUser()
	}
	link, err := conn.Link(o)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.link, s.lease = link, lease
	replay := s.init
	s.mu.Unlock()
	if !anew {
		return link, nil
	}
	if !conn.Shared() {
		if err := s.replay(conn, replay); err != nil {
			if conn.Dead() == nil {
				s.restart.Bad(time.Now(), "it did not take initialize again: "+err.Error())
			}
			s.release()
			return nil, err
		}
	}
	s.restore(link)
	return link, nil
}

// replay initialises a new child as the client initialised the old one.
func (s *Session) replay(conn *mux.Conn, line []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.server.Limits().Start)
	defer cancel()
	quiet, err := conn.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		return err
	}
	result, err := quiet.Ask(ctx, line)
	quiet.Leave() // what the child asks from now on is for the client
	if err != nil {
		return err
	}
	if m, err := rpc.Parse(line); err == nil && s.server.Limits().Sleep > 0 {
		s.learn(s.asks(m.Params()), result)
	}
	conn.Tell([]byte(fleet.InitializedLine))
	return nil
}

// lost notes the end of a child, so that one that ends again and again is
// started less and less often.
func (s *Session) lost(born time.Time) {
	now := time.Now()
	if now.Sub(born) > fleet.BreakerLast {
		s.restart.Good()
	}
	s.restart.Bad(now, "it ended again and again")
}

// idle tells since when the session was not used, and whether it is of no use to
// anybody now.
func (s *Session) idle() (since time.Time, idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begins := s.link == nil && len(s.init) == 0 // it was opened for a message that is on its way
	busy := begins || !s.turns.none() || s.link != nil && s.link.Busy()
	return s.used, s.ended == nil && !busy && s.readers.Load() == 0
}

// Era is the front that opened the session.
func (s *Session) Era() string { return s.caller.Era }

// StandingStream is the resumable stream over Standing.
func (s *Session) StandingStream() *event.Stream { return s.stream }
