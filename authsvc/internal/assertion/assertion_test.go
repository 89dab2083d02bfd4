package assertion_test

import (
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

func TestAnotherSecretMakesNewKeys(t *testing.T) {
	c := &clock{time.Now()}
	store := memstore.New(c.now, 0)
	for _, secret := range []string{"old", "new"} {
		k := assertion.New(store, session.NewBox([]byte(secret), "keys"), c.now, zerolog.Nop())
		if k.Ready(t.Context()) == nil {
			t.Error("ready without a key")
		}
		if err := k.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.Sign(contract.Identity{Subject: "alice", Expires: c.at.Add(time.Hour)}); err != nil {
			t.Error(err)
		}
	}
}
