package session_test

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
)

// A user signs in with tokens more often than is listed. What fell off the list
// has ended: else a token that is renewed of it would outlive the user's end.
func TestNoTokenOutlivesItsUsersEnd(t *testing.T) {
	now := func() time.Time { return time.Unix(1e9, 0) }
	s := service(memstore.New(now, 0), now)
	const signIns = 205
	var sids []string
	for i := range signIns {
		sids = append(sids, fmt.Sprint("sid", i))
		if err := s.Note(t.Context(), "alice", sids[i], "client"); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := s.Tokens(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	wantEnded(t, s, sids[:signIns-len(listed)], sids[signIns-len(listed):])
	if err := s.EndUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	wantEnded(t, s, sids, nil)
}

// Two clients can use one session of the provider: it stands while one of them
// is listed.
func TestSharedSessionStandsWhileListed(t *testing.T) {
	now := func() time.Time { return time.Unix(1e9, 0) }
	s := service(memstore.New(now, 0), now)
	for i := range 201 {
		if err := s.Note(t.Context(), "alice", "shared", fmt.Sprint("client", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantEnded(t, s, nil, []string{"shared"})
}

func wantEnded(t *testing.T, s *session.Sessions, ended, standing []string) {
	t.Helper()
	have, err := s.Endings.Ended(t.Context(), append(ended[:len(ended):len(ended)], standing...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, sid := range ended {
		if _, ok := have[sid]; !ok {
			t.Errorf("%s stands", sid)
		}
	}
	for _, sid := range standing {
		if _, ok := have[sid]; ok {
			t.Errorf("%s has ended", sid)
		}
	}
}
