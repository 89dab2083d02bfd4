package assertion_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/assertion"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

// clock is one that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// TestRotationIsNeverNoticed lets days pass for two replicas that reload
// at their own times. Each signs all the while, and a verifier that fetched the
// keys of either a minute ago knows every key that it meets.
func TestRotationIsNeverNoticed(t *testing.T) {
	c := &clock{time.Now()}
	store := memstore.New(c.now, 0)
	var replicas [2]*assertion.Keys
	for i := range replicas {
		replicas[i] = assertion.New(store, session.NewBox([]byte("secret"), "keys"), c.now, zerolog.Nop())
		if err := replicas[i].Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var known jose.JSONWebKeySet
	kids := map[string]bool{}
	for tick := range 60 * 60 { // two and a half days, a minute each
		c.at = c.at.Add(time.Minute)
		if err := replicas[tick%2].Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if tick%2 == 0 {
			var err error
			if known, err = replicas[tick/2%2].Public(); err != nil {
				t.Fatal(err)
			}
		}
		token, _, err := replicas[tick%2].Sign(contract.Identity{Subject: "alice", Expires: c.at.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := contract.VerifyAssertion(token, known, c.at, 0); err != nil {
			t.Fatalf("after %s: %v", time.Duration(tick)*time.Minute, err)
		}
		kids[kid(t, token)] = true
	}
	if len(kids) != 3 { // the first, and one for each day
		t.Errorf("%d keys signed in two days and a half, want 3", len(kids))
	}
}

func kid(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Signatures[0].Header.KeyID
}

// A replica that was started with another store key signs nothing and leaves the
// keys of the others alone.
func TestAnotherStoreKeyReplacesNothing(t *testing.T) {
	c := &clock{time.Now()}
	store := memstore.New(c.now, 0)
	replica := func(secret string) *assertion.Keys {
		return assertion.New(store, session.NewBox([]byte(secret), "keys"), c.now, zerolog.Nop())
	}
	right, wrong := replica("right"), replica("wrong")
	if right.Ready(t.Context()) == nil {
		t.Error("ready without a key")
	}
	if err := right.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wrong.Reload(t.Context()); !errors.Is(err, assertion.ErrForeign) {
		t.Errorf("Reload with another store key = %v, want ErrForeign", err)
	}
	if wrong.Ready(t.Context()) == nil {
		t.Error("the wrong one is ready")
	}
	token, _, err := right.Sign(contract.Identity{Subject: "alice", Expires: c.at.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	third := replica("right")
	if err := third.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	known, _ := third.Public()
	if _, _, err := contract.VerifyAssertion(token, known, c.at, 0); err != nil {
		t.Errorf("the keys of the others were replaced: %v", err)
	}
}
