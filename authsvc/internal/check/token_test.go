package check

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/resource"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

const gateURL = "https://gate.example.com"

// slow is a store, keys and a signer that a test takes away by turns. noted are
// the sids in the order of the tries.
type slow struct {
	now             time.Time
	noteErr, endErr error
	noted           []string
	generation      uint64
}

func (s *slow) Lookup(context.Context, session.Secret) (session.Session, error) {
	return session.Session{}, session.ErrNoSession
}

func (s *slow) Note(_ context.Context, _, sid, _ string) error {
	s.noted = append(s.noted, sid)
	return s.noteErr
}

func (s *slow) Ended(context.Context, ...string) (map[string]time.Time, error) { return nil, s.endErr }

func (s *slow) VerifyAccess(_ context.Context, token string) (provider.Access, error) {
	return provider.Access{
		Audience: []string{gateURL}, Party: "cli",
		Identity: contract.Identity{Subject: "alice", SessionID: "of " + token, Expires: s.now.Add(time.Hour)},
	}, nil
}

func (s *slow) VerifyProof(string, provider.Proof) (string, time.Time, error) {
	return "", time.Time{}, provider.ErrToken
}

func (s *slow) Generation() uint64 { return s.generation }

func (s *slow) Sign(contract.Identity) (string, time.Time, error) {
	return "assertion", s.now.Add(time.Hour), nil
}

// A token's session that could not be noted is noted as soon as the store takes
// it, at the next look at the token: else ending its user would not close the
// stream that was opened with it. What is noted once is not noted again.
func TestATokenIsNotedWhenTheStoreIsBack(t *testing.T) {
	s := &slow{now: time.Unix(1e9, 0)}
	h := New(&Handler{
		Sessions: s, Tokens: s, Signer: s, Endings: s, Rules: resource.Rules{PublicURL: gateURL},
		Now: func() time.Time { return s.now }, Log: zerolog.Nop(),
	}, 100, prometheus.NewRegistry())
	look := func() {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/auth", nil)
		r.Header.Set("Authorization", "Bearer token")
		r.Header.Set(contract.HeaderOriginalURI, "/mcp")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("answered %d", w.Code)
		}
		s.now = s.now.Add(2 * session.Recheck)
	}
	for step, one := range []struct {
		noteErr, endErr error
		tries           int // until then
	}{
		{session.ErrUnavailable, nil, 1},
		{nil, session.ErrUnavailable, 1}, // who cannot ask has waited long enough
		{session.ErrUnavailable, nil, 2},
		{nil, nil, 3},
		{nil, nil, 3},
	} {
		s.noteErr, s.endErr = one.noteErr, one.endErr
		if look(); len(s.noted) != one.tries {
			t.Errorf("look %d: tried %d times, want %d", step+1, len(s.noted), one.tries)
		}
	}
	s.generation++ // the provider's keys have changed: the token is verified anew
	look()
	if !slices.Equal(s.noted, []string{"of token", "of token", "of token"}) {
		t.Errorf("noted %q", s.noted)
	}
}
