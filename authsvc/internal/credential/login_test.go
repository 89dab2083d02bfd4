package credential

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

var errNo = errors.New("no")

// keycloak answers with what it was shown.
type keycloak struct{ err error }

func (k keycloak) ExchangeToken(
	_ context.Context, token, audience string, _ []string,
) (string, time.Time, error) {
	return token + " for " + audience, time.Now().Add(time.Minute), k.err
}

func (k keycloak) LinkedToken(_ context.Context, token, alias string) (string, time.Time, error) {
	return token + " at " + alias, time.Time{}, k.err
}

type nothingEnded struct{}

func (nothingEnded) Ended(context.Context, ...string) (map[string]time.Time, error) { return nil, nil }

func fromLogins(answer *keycloak) *Service {
	return &Service{
		Entries: []Entry{{Name: "api", Kind: Exchange, Audience: "reports"}, {Name: "hub", Kind: Linked, Provider: "github"}},
		Store:   memstore.New(time.Now, 0), Box: session.NewBox([]byte("of the test alone"), "credentials"),
		Endings: nothingEnded{}, Provider: answer, Refused: func(err error) bool { return errors.Is(err, errNo) },
		Audit: &auditlog.Log{}, Now: time.Now, Log: zerolog.Nop(),
	}
}

// What comes of a login comes of its newest token, for its own user and its own
// login alone, and waits for the next where that has ended.
func TestOfALoginsNewestToken(t *testing.T) {
	var answer keycloak
	s := fromLogins(&answer)
	ctx, end := t.Context(), time.Now().Add(time.Hour)
	alice := contract.Identity{Subject: "alice", SessionID: "s1", Expires: end}
	want := func(who contract.Identity, name, secret string, fault error) {
		t.Helper()
		got, err := s.Issue(ctx, Ask{Caller: who, Name: name})
		if got.Value != secret || !errors.Is(err, fault) {
			t.Errorf("%s of %s at %s: %q, %v; want %q, %v", name, who.Subject, who.SessionID, got.Value, err, secret, fault)
		}
	}
	want(alice, "api", "", ErrStale)
	s.Saw(ctx, alice, "second", time.Now().Add(2*time.Minute))
	s.Saw(ctx, alice, "first", time.Now().Add(time.Minute)) // another replica was slower
	want(alice, "api", "second for reports", nil)
	want(alice, "hub", "second at github", nil)
	for _, other := range []contract.Identity{
		{Subject: "mallory", SessionID: "s1", Expires: end}, {Subject: "alice", SessionID: "s2", Expires: end},
	} {
		want(other, "api", "", ErrStale)
	}
	want(contract.Identity{Subject: "key:ci", Expires: end}, "api", "", ErrNoLogin)
	s.Now = func() time.Time { return time.Now().Add(3 * time.Minute) }
	want(alice, "api", "", ErrStale)
	s.Now = time.Now

	answer.err = errNo
	if _, err := s.Issue(ctx, Ask{Caller: alice, Name: "hub"}); !errors.As(err, new(*Missing)) {
		t.Errorf("a refusal is %v, want missing", err)
	}
	answer.err = errors.New("out of reach")
	if _, err := s.Issue(ctx, Ask{Caller: alice, Name: "hub"}); err == nil || errors.As(err, new(*Missing)) {
		t.Errorf("an outage is %v, want no word of missing", err)
	}
}
