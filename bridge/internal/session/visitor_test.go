package session

import (
	"context"
	"errors"
	"strings"
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

// TestASessionOutlivesItsToken: what is open ends with the token, and only the
// login that opened the session may come back to it, until it was idle too long.
func TestASessionOutlivesItsToken(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	now := time.Now()
	s.end = now.Add(-time.Second)
	over, _ := s.Under(&s.Owner)
	guest, _ := s.Under(&contract.Identity{Subject: "alice", SessionID: "guest", Expires: now.Add(time.Hour)})
	s.table.sweepOnce(now)
	for what, ch := range map[string]<-chan struct{}{"a stream": over, "another login's": guest} {
		select {
		case <-ch:
		default:
			t.Errorf("%s outlives the token", what)
		}
	}
	find := func(login string) *Session {
		return s.table.Find(s.ID.String(), s.server, &contract.Identity{Subject: "alice", SessionID: login})
	}
	if find("guest") != nil {
		t.Error("another login takes the session over")
	}
	if find("login") == nil {
		t.Fatal("its own login does not find the session")
	}
	later := s.Owner
	later.Expires = now.Add(time.Minute)
	again, _ := s.Under(&later)
	s.table.sweepOnce(now)
	select {
	case <-again:
		t.Error("a stream under a new token ends at once")
	default:
	}
	if got := s.told(); !strings.Contains(got, `"result"`) || s.server.Stats.Started.Load() != 1 {
		t.Errorf("with a new token the call is answered %s", got)
	}
	s.table.EndSIDs([]string{"login"})
	select {
	case <-again:
	default:
		t.Error("a stream outlives its login")
	}
	if err := s.Err(); !errors.Is(err, ErrLoginOver) {
		t.Errorf("after the end of the login: %v", err)
	}
}

// TestASessionWhoseTokenLapsedIsIdleInTheEnd.
func TestASessionWhoseTokenLapsedIsIdleInTheEnd(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	now := time.Now()
	s.end = now
	s.table.sweepOnce(now.Add(s.table.limits.Idle - time.Minute))
	if err := s.Err(); err != nil {
		t.Errorf("before the time: %v", err)
	}
	s.table.sweepOnce(now.Add(s.table.limits.Idle + time.Minute))
	if err := s.Err(); !errors.Is(err, ErrIdle) {
		t.Errorf("after the time: %v", err)
	}
}
