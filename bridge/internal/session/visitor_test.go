package session

import (
	"context"
	"testing"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// TestAVisitorEndsWithItsOwnLogin, and with what it was shown, and with the
// session.
func TestAVisitorEndsWithItsOwnLogin(t *testing.T) {
	s := newStrictOn(t, fleet.PerSession, nil)
	now := time.Now()
	visit := func(sid string) <-chan struct{} {
		over, leave := s.Under(&contract.Identity{Subject: "alice", SessionID: sid, Expires: now.Add(time.Minute)})
		t.Cleanup(leave)
		return over
	}
	isOver := func(what string, ch <-chan struct{}, want bool) {
		t.Helper()
		select {
		case <-ch:
			if !want {
				t.Errorf("%s is over", what)
			}
		default:
			if want {
				t.Errorf("%s is not over", what)
			}
		}
	}
	revoked, expired, own := visit("revoked"), visit("expired"), visit("login")
	s.table.EndSIDs([]string{"revoked"})
	isOver("the login that ended", revoked, true)
	isOver("another", expired, false)
	s.table.sweepOnce(now.Add(time.Minute / 2))
	isOver("a right that holds", expired, false)
	s.table.sweepOnce(now.Add(2 * time.Minute))
	isOver("a right that has ended", expired, true)
	isOver("the session's own login", own, false)
	last := visit("last")
	if _, leave := s.Under(&contract.Identity{SessionID: "gone"}); len(s.table.SIDs()) != 3 {
		t.Errorf("logins %v", s.table.SIDs())
	} else if leave(); len(s.table.SIDs()) != 2 {
		t.Errorf("logins %v after one left", s.table.SIDs())
	}
	s.End(ErrDeleted)
	isOver("a visitor of a session that ended", last, true)
	isOver("one who comes late", visit("late"), true)
}

// TestWhateverShowsANewTokenExtendsTheSession: a client may do no more for a
// while than listen, or answer what it is asked.
func TestWhateverShowsANewTokenExtendsTheSession(t *testing.T) {
	for name, comes := range map[string]func(*testing.T, *strict, *contract.Identity){
		"a stream": func(_ *testing.T, s *strict, who *contract.Identity) {
			_, leave := s.Under(who)
			leave()
		},
		"an answer": func(t *testing.T, s *strict, who *contract.Identity) {
			if err := s.Send(context.Background(), who, message(t, `{"jsonrpc":"2.0","id":7,"result":{}}`)); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStrict(t, nil)
			now := time.Now()
			s.end = now.Add(time.Minute)
			later := s.Owner
			later.Expires = now.Add(time.Hour)
			comes(t, s, &later)
			s.table.sweepOnce(now.Add(2 * time.Minute))
			if err := s.Err(); err != nil {
				t.Errorf("with a token that holds: %v", err)
			}
		})
	}
}
