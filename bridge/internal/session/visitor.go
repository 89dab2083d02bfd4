package session

import (
	"time"

	"gatehouse/internal/contract"
)

// visitor is a request under another login of the user than the one that opened
// the session. It ends with its own login, and with the right to the session.
type visitor struct {
	sid  string
	end  time.Time // of the right that it was shown; zero for none
	over chan struct{}
}

// Under returns what is closed when the login of a request, or the session, has
// ended: a stream must not outlive either. leave is called when the request is
// over.
func (s *Session) Under(who *contract.Identity) (over <-chan struct{}, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who.SessionID == s.Owner.SessionID {
		s.extend(who)
		return s.right, func() {}
	}
	v := &visitor{sid: who.SessionID, end: who.Expires, over: make(chan struct{})}
	if s.ended != nil || s.lapsed {
		return s.right, func() {}
	}
	if s.visitors == nil {
		s.visitors = map[*visitor]struct{}{}
	}
	s.visitors[v] = struct{}{}
	return v.over, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.visitors, v)
	}
}

// logins are those that have something open in the session.
func (s *Session) logins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sids := []string{s.Owner.SessionID}
	for v := range s.visitors {
		sids = append(sids, v.sid)
	}
	return sids
}

// endVisitors ends the visitors that are over.
func (s *Session) endVisitors(over func(*visitor) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.visitors {
		if over(v) {
			close(v.over)
			delete(s.visitors, v)
		}
	}
}
