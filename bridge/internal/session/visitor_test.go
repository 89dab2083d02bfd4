package session

import (
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
