package session

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Door stands in the place of a child where the server is made of others. Call
// and Send are those of Session. It has for each of the others an inner session
// of the session that it was opened for, and so of the same owner: there is no
// other way to one. It is asked while locks of the session are held, so Busy
// and Close must not come back to it.
type Door interface {
	Call(ctx context.Context, who *contract.Identity, m *rpc.Message, sink event.Sink) (*mux.Call, error)
	Send(ctx context.Context, who *contract.Identity, m *rpc.Message) error
	Busy() bool
	Close()
}

// AddDoor lets sessions be opened on a server that is made of others.
func (t *Table) AddDoor(server *fleet.Server, open func(*Session) Door) {
	t.Add(server)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doors[server] = open
}

// Inner opens a session of the same owner on a server that this one is made of.
// No client can find it, and it counts for nobody: this one ends it. Its child
// is started when first needed, with init, the client's initialize. What belongs
// to no call goes aside.
func (s *Session) Inner(server *fleet.Server, init []byte, aside event.Sink) (*Session, error) {
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.servers, server) {
		return nil, &mux.Refusal{Reason: ErrRetired.Error(), Retry: time.Second}
	}
	in := t.make(s.ID, server, s.Owner, s.caller.Era)
	in.outer, in.aside, in.init = s, aside, init
	t.inner[in] = struct{}{}
	return in, nil
}

// Caller is who the calls of this session are made for, as a request shows him.
func (s *Session) Caller(who *contract.Identity) *mux.Caller { return s.as(who) }

// Running reports whether the session has a child.
func (s *Session) Running() bool { return s.alive() }

// Tell notes that an inner session is told a line that its child must know, and
// is told again when it is another; false where it knows it already. restore
// sees to it that each child after the first does.
func (s *Session) Tell(line []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Equal(s.told, line) {
		return false
	}
	s.told = line
	return true
}

// Busy reports whether a call is under way.
func (s *Session) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.turns.none() || s.busy()
}

// busy reports whether a call is under way. The lock is held.
func (s *Session) busy() bool {
	return s.link != nil && s.link.Busy() || s.door != nil && s.door.Busy()
}

// enter notes that a session with a door is used.
func (s *Session) enter(who *contract.Identity) error {
	s.as(who) // its end moves with the token
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return &rpc.Error{Code: rpc.CodeSession, Message: s.ended.Error()}
	}
	s.used = time.Now()
	return nil
}

// besides takes what belongs to no call.
func (s *Session) besides() event.Sink {
	if s.aside != nil {
		return s.aside
	}
	return s.Standing
}

// every is each session, the inner ones too.
func (t *Table) every() []*Session {
	all := t.all()
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.AppendSeq(all, maps.Keys(t.inner))
}
