package session

import (
	"context"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// A session whose child has done nothing for the time that its server names
// sleeps: the child ends, and the session stays. Its next call wakes it: a new
// child hears what the last one heard of the client. What only the memory of a
// child knows is lost, so a server sleeps where its entry says so alone, and a
// child stays that has told of something to come: a task, a subscription.

// doze lets the session sleep where nothing is open and nothing was said for
// so long.
func (s *Session) doze(now time.Time, after time.Duration) bool {
	s.mu.Lock()
	if !s.mayDoze() || s.link.Conn().Quiet(now) < after {
		s.mu.Unlock()
		return false
	}
	link, lease := s.link, s.lease
	s.link, s.lease = nil, nil
	s.mu.Unlock()
	letGo(link, lease)
	s.server.Stats.Slept.Add(1)
	s.server.Log().Debug().Str("session", s.ID.Label()).Msg("the session sleeps")
	return true
}

// mayDoze reports whether the session has a child that it may do without for a
// while, as far as it knows itself. The lock is held.
func (s *Session) mayDoze() bool {
	return s.ended == nil && s.link != nil && s.init != nil && s.turns.none() && !s.settings.watches()
}

// watches reports whether the client is to hear of a change by itself, of which
// no child that is not there can tell.
func (k *settings) watches() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.uris) > 0 || k.over
}

// asleep reports whether the session has no child, and had one that it needs no
// longer.
func (s *Session) asleep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sleeps()
}

// sleeps is asleep for who holds the lock.
func (s *Session) sleeps() bool {
	return s.server.Limits().Sleep > 0 && s.ended == nil && s.link == nil && s.init != nil && s.turns.none()
}

// unheard reports whether a message of the client is for a child that is not
// there any more, and wakes none: what began or ended something in the last one,
// and a ping, for which the session answers as long as it is there.
func (s *Session) unheard(m *rpc.Message) bool {
	switch m.Method {
	case "ping":
		if m.Kind != rpc.Request {
			return false
		}
	case fleet.Initialized, "notifications/cancelled", "notifications/progress",
		"notifications/roots/list_changed": // a new child asks for the roots
		if m.Kind != rpc.Notification {
			return false
		}
	default:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sleeps() {
		return false
	}
	s.used = time.Now()
	return true
}

// answer answers a request in the place of the child, where the guard lets it.
func (s *Session) answer(
	ctx context.Context, who *contract.Identity, m *rpc.Message, result []byte, sink event.Sink,
) error {
	if err := s.server.Answered(ctx, s.as(who), m, len(result)); err != nil {
		return err
	}
	sink.Push(event.Event{Kind: rpc.Response, Final: true, Line: rpc.ResultBody(m.ID(), result)})
	return nil
}

// wake is begin for a session that sleeps.
func (s *Session) wake(ctx context.Context) (*mux.Link, error) {
	began := time.Now()
	link, err := s.join(ctx, true)
	if ctx.Err() == nil && s.Err() == nil { // else nobody wants it any more
		s.table.woken(s, time.Since(began), err)
	}
	return link, err
}

// Asleep counts the sessions that sleep, by the name of their server.
func (t *Table) Asleep() map[string]int {
	n := map[string]int{}
	for _, s := range t.all() {
		if s.asleep() {
			n[s.server.Name]++
		}
	}
	return n
}

// woken tells the log and the metrics what came of a wake.
func (t *Table) woken(s *Session, took time.Duration, err error) {
	log := s.server.Log()
	if err != nil {
		s.server.Stats.NotWoken.Add(1)
		log.Warn().Err(err).Str("session", s.ID.Label()).Dur("took", took).Msg("the session cannot be woken")
		return
	}
	s.server.Stats.Woken.Add(1)
	log.Debug().Str("session", s.ID.Label()).Dur("took", took).Msg("the session is awake")
	if t.Woken != nil {
		t.Woken(s.server.Name, took)
	}
}
