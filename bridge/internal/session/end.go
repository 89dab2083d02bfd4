package session

import (
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// release lets go of the last child.
func (s *Session) release() {
	s.mu.Lock()
	link, lease := s.link, s.lease
	s.link, s.lease = nil, nil
	s.mu.Unlock()
	letGo(link, lease)
}

func letGo(link *mux.Link, lease *fleet.Lease) {
	if link != nil {
		link.Close()
		if !link.Conn().Shared() {
			link.Conn().Stop()
		}
	}
	if lease != nil {
		lease.Release()
	}
}

// End ends the session: its streams, its calls and, where it is its own, its
// child. The first reason stands.
func (s *Session) End(why error) {
	s.mu.Lock()
	if s.ended != nil {
		s.mu.Unlock()
		return
	}
	s.ended = why
	used := s.used
	s.mu.Unlock()
	s.farewell(why, time.Since(used))
	s.table.remove(s)
	close(s.done)
	s.endVisitors(func(*visitor) bool { return true })
	s.Standing.Close(why)
	s.Streams.Close()
	s.endRight()
	s.release()
	if told := s.table.Ended; told != nil {
		told(s.server.Name, s.caller.Era, time.Since(s.created))
	}
}

// farewell is the one line of the log by which a client's "no such session" can
// be told: the label is the part of the id that logs show. A session within
// another has no client that knows it.
func (s *Session) farewell(why error, unused time.Duration) {
	level := zerolog.InfoLevel
	if s.within {
		level = zerolog.DebugLevel
	}
	s.server.Log().WithLevel(level).Str("session", s.ID.Label()).Str("why", rpc.Clip(why.Error(), maxWhy)).
		Str("era", s.caller.Era).Dur("age", time.Since(s.created)).Dur("unused", unused).Msg("the session has ended")
}

const maxWhy = 256 // bytes of the log: a server may have a say in it

// over tells the reason for which the session must end now, or nil.
func (s *Session) over(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	limits := s.table.limits
	busy := !s.turns.none() || s.link != nil && s.link.Busy() // a call may wait for a child that is to start
	switch {
	case s.within:
		return nil
	case now.Sub(s.created) > limits.Age:
		return ErrAge
	case s.readers.Load() == 0 && now.Sub(s.used) > limits.Idle && !busy:
		return ErrIdle
	}
	return nil
}
