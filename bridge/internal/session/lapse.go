package session

import (
	"time"

	"gatehouse/internal/contract"
)

// The token by which a session was opened is good for minutes, and its login for
// a day. At the end of the token nobody is there any more by right: streams and
// waiting calls end. The session itself stays for as long as any other that is
// not used: its client may be asleep, and comes back with a new token of the same
// login. Nobody else is let in meanwhile, not even the user by another login.

// extend moves the end of the right with the token: a client that comes with a
// new one of the same login has the right to go on, whatever it comes with: a
// call, an answer, or a stream. The lock is held.
func (s *Session) extend(who *contract.Identity) {
	if who.SessionID != s.Owner.SessionID || s.end.IsZero() || !who.Expires.After(s.end) {
		return
	}
	s.end = who.Expires
	if s.lapsed && s.ended == nil {
		s.lapsed, s.right = false, make(chan struct{})
	}
}

// lapse ends what is open in the session where the right to it has ended.
func (s *Session) lapse(now time.Time) {
	s.mu.Lock()
	over := !s.within && s.ended == nil && !s.lapsed && !s.end.IsZero() && now.After(s.end)
	if over {
		s.lapsed = true
		close(s.right)
	}
	s.mu.Unlock()
	if over {
		s.endVisitors(func(*visitor) bool { return true })
		s.server.Log().Info().Str("session", s.ID.Label()).
			Msg("the token of the session has lapsed: it waits for its login to come with a new one")
	}
}

// Interrupt ends the streams and the waiting calls of the session that the caller
// names, where it is his: he may not have them now. The session stays, for he may
// be given again what he lacks.
func (t *Table) Interrupt(id string, who *contract.Identity) {
	s := t.named(id)
	if s == nil || s.Owner.Subject != who.Subject {
		return
	}
	s.mu.Lock()
	if s.ended == nil && !s.lapsed {
		close(s.right)
		s.right = make(chan struct{})
	}
	s.mu.Unlock()
	s.endVisitors(func(*visitor) bool { return true })
}

// endRight ends the right with the session.
func (s *Session) endRight() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lapsed {
		close(s.right)
	}
}

// admits reports whether a caller who is the session's owner may come in: once
// the token has lapsed that is the login that opened it alone.
func (s *Session) admits(who *contract.Identity, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return who.SessionID == s.Owner.SessionID || s.end.IsZero() || !now.After(s.end)
}
