package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

func TestAllSessionsInPages(t *testing.T) {
	clock := time.Unix(1e9, 0)
	now := func() time.Time { return clock }
	store := memstore.New(now, 0)
	s := &session.Sessions{
		Store: store, Box: session.NewBox([]byte("secret"), "index"), Now: now, Log: zerolog.Nop(),
		Endings: session.NewEndings(
			store,
			time.Hour,
			time.Hour,
			now,
			zerolog.Nop(),
		), Ages: session.Ages{Absolute: time.Hour, Idle: time.Hour},
	}
	const people = 60
	for i := range people {
		for range 1 + i%2 {
			id := contract.Identity{
				Subject: fmt.Sprint("u", i),
				Email:   fmt.Sprintf("%02d@example.com", i),
				Expires: clock.Add(time.Hour),
			}
			if _, _, err := s.Create(t.Context(), session.Grant{Identity: id}, session.Browser{IP: "192.0.2.1"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := map[string]bool{}
	last := ""
	for page := 1; page <= 3; page++ {
		found, err := s.All(t.Context(), "", page)
		if err != nil || found.Pages != 3 || found.People != people {
			t.Fatal(found.Pages, found.People, err)
		}
		for _, l := range found.Sessions {
			if seen[l.SID] || l.Email < last {
				t.Errorf("%s of %s stands twice or out of order", l.SID, l.Email)
			}
			seen[l.SID], last = true, l.Email
		}
	}
	if len(seen) != people*3/2 {
		t.Errorf("%d sessions on all pages, want %d", len(seen), people*3/2)
	}
	for _, page := range []int{-1, 0, 99} {
		if found, err := s.All(t.Context(), "", page); err != nil || len(found.Sessions) == 0 {
			t.Errorf("page %d: %d sessions, %v", page, len(found.Sessions), err)
		}
	}
	for query, want := range map[string]int{"07@EXAMPLE": 1, "u7": 1, "@example.com": people, "nobody": 0} {
		if found, err := s.All(t.Context(), query, 1); err != nil || found.People != want {
			t.Errorf("%q finds %d people, want %d: %v", query, found.People, want, err)
		}
	}
	clock = clock.Add(2 * time.Hour)
	if found, err := s.All(t.Context(), "", 1); err != nil || len(found.Sessions) != 0 || found.Pages != 1 {
		t.Errorf("after their end: %d sessions on %d pages, %v", len(found.Sessions), found.Pages, err)
	}
}
