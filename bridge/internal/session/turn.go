package session

import (
	"context"
	"slices"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// turns are those who have something for the child of a session. While it is
// not ready they wait, and go on in the order in which they came, each when the
// one before has given the child its message.
type turns struct {
	waiting []chan struct{} // the first has the turn
	giving  int             // who has the link, and has not given the child its message yet
}

// none tells that nobody has anything for the child.
func (t *turns) none() bool { return len(t.waiting) == 0 && t.giving == 0 }

func (t *turns) join() chan struct{} {
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	if len(t.waiting) == 1 {
		close(mine)
	}
	return mine
}

// leave gives the turn to the next, where it was at the one who leaves.
func (t *turns) leave(mine chan struct{}) {
	at := slices.Index(t.waiting, mine)
	t.waiting = slices.Delete(t.waiting, at, at+1)
	if at == 0 && len(t.waiting) > 0 {
		close(t.waiting[0])
	}
}

// turn is the right to give the child one message. It ends with over.
type turn struct {
	session *Session
	waited  chan struct{} // nil where nobody had to wait
}

func (t turn) over() {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	if t.waited == nil {
		t.session.turns.giving--
		return
	}
	t.session.turns.leave(t.waited)
}

// live returns the link to a child that lives, starting one where there is
// none, and the turn to use it.
func (s *Session) live(ctx context.Context, first bool) (*mux.Link, turn, error) {
	s.mu.Lock()
	s.used = time.Now()
	if len(s.turns.waiting) == 0 {
		if link, err := s.ready(); link != nil || err != nil {
			if err == nil {
				s.turns.giving++
			}
			s.mu.Unlock()
			return link, turn{session: s}, err
		}
	}
	mine := turn{s, s.turns.join()}
	s.mu.Unlock()
	select {
	case <-mine.waited:
	case <-ctx.Done():
		mine.over()
		return nil, mine, ctx.Err()
	}
	link, err := s.awake(ctx, first)
	if err != nil {
		mine.over()
	}
	return link, mine, err
}

// awake is for who has the turn.
func (s *Session) awake(ctx context.Context, first bool) (*mux.Link, error) {
	s.mu.Lock()
	link, err := s.ready()
	s.mu.Unlock()
	if link != nil || err != nil {
		return link, err
	}
	return s.start(ctx, first)
}

// ready is the link to a child that lives, or why there is to be none; neither
// where one may be started. The lock is held.
func (s *Session) ready() (*mux.Link, error) {
	switch {
	case s.ended != nil:
		return nil, &rpc.Error{Code: rpc.CodeSession, Message: s.ended.Error()}
	case s.link != nil && s.link.Conn().Dead() == nil:
		return s.link, nil
	case s.leaving != nil:
		return nil, s.leaving
	}
	return nil, nil
}

// start starts a child for who has the turn. Where the session has ended
// meanwhile, that child ends too.
func (s *Session) start(ctx context.Context, first bool) (*mux.Link, error) {
	link, err := s.begin(ctx, first)
	s.mu.Lock()
	over := s.ended != nil
	s.mu.Unlock()
	if over {
		s.release()
		return nil, &rpc.Error{Code: rpc.CodeSession, Message: event.ErrEnded.Error()}
	}
	return link, err
}
