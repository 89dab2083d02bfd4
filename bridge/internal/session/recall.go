package session

import (
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/rpc"
)

// On a server that sleeps, an initialize that a child has answered before is
// answered by what it said, and the session begins asleep: a client that only
// opens one costs no child.

// asks names the initialize that the session begins with, where it may be
// answered so.
func (s *Session) asks(params []byte) fleet.Asked {
	if s.server.Isolation != fleet.PerSession {
		params = nil // the bridge initialises the child, for all who share it
	}
	return s.server.Asks(&s.Owner, params)
}

// recalled is the result of an initialize that needs no child, or nil.
func (s *Session) recalled(m *rpc.Message) []byte {
	if s.server.Limits().Sleep == 0 || len(m.Line) > rpc.MaxKept || s.server.Health() != nil {
		return nil
	}
	s.mu.Lock()
	first := s.ended == nil && s.link == nil && s.init == nil && s.turns.none()
	s.mu.Unlock()
	if !first {
		return nil
	}
	result := s.server.Recall.Answer(s.asks(m.Params()), time.Now())
	if result != nil && s.server.Isolation != fleet.PerSession {
		result = withVersion(m.Params(), result)
	}
	return result
}

// learn remembers what a child answered to initialize.
func (s *Session) learn(asked fleet.Asked, result []byte) {
	if !s.server.Recall.Learn(asked, result, time.Now()) {
		s.server.Log().Warn().Str("session", s.ID.Label()).
			Msg("the server answers initialize otherwise than before: sessions are opened with a child for now")
	}
}

// learning is the sink of an initialize.
type learning struct {
	event.Sink
	session *Session
	asked   fleet.Asked
}

// learns puts a learning before the sink where the answer may be needed again.
func (s *Session) learns(m *rpc.Message, sink event.Sink) event.Sink {
	if m.Method != "initialize" || s.server.Limits().Sleep == 0 || len(m.Line) > rpc.MaxKept {
		return sink
	}
	return &learning{sink, s, s.asks(m.Params())}
}

// Push implements Sink.
func (l *learning) Push(e event.Event) bool {
	if e.Final && !e.Failed && !e.Silent {
		l.session.learn(l.asked, e.Result())
	}
	return l.Sink.Push(e)
}
