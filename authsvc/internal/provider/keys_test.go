package provider_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/claims"
	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/provider"
)

// A key that was withdrawn bites although nobody comes with a new one, and a
// provider that is away takes no key from those that are known.
func TestWithdrawnKeyWithoutANewOne(t *testing.T) {
	issuer := issuertest.Start(t)
	mapping, _ := claims.Of("keycloak", issuertest.Client)
	p := provider.New(provider.Config{
		Issuer: issuer.URL, Mapping: mapping, KeysEvery: 20 * time.Millisecond, Now: time.Now, Log: zerolog.Nop(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	token := issuer.Sign(issuer.Access())
	until(t, func() bool { _, err := p.VerifyAccess(t.Context(), token); return err == nil })
	before := p.Keys().Generation()
	issuer.Rotate()
	until(t, func() bool { return p.Keys().Generation() != before })
	if _, err := p.VerifyAccess(t.Context(), token); !errors.Is(err, provider.ErrToken) {
		t.Errorf("a token of the withdrawn key: %v", err)
	}
}

// A key is known by what it is, not by its name: one that is replaced under the
// same kid, or under none, has left, and one that is read again has not.
func TestAKeyReplacedUnderItsNameHasLeft(t *testing.T) {
	for _, kid := range []string{"key-1", ""} {
		issuer, p := found(t)
		issuer.Replace(kid)
		read := func() uint64 {
			t.Helper()
			if err := p.Find(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			return p.Keys().Generation()
		}
		before := read()
		if again := read(); again != before {
			t.Errorf("kid %q: the generation moved from %d to %d though no key left", kid, before, again)
		}
		issuer.Replace(kid)
		if after := read(); after == before {
			t.Errorf("kid %q: the generation stays %d though another key has the name", kid, before)
		}
	}
}

// One look that fails does not let a withdrawn key verify until the next is due.
func TestALookThatFailsIsDoneAgain(t *testing.T) {
	issuer := issuertest.Start(t)
	mapping, _ := claims.Of("keycloak", issuertest.Client)
	p := provider.New(provider.Config{
		Issuer: issuer.URL, Mapping: mapping, KeysEvery: time.Hour, Now: time.Now, Log: zerolog.Nop(),
	})
	if err := p.Find(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	before, looks := p.Keys().Generation(), issuer.JWKS.Load()
	issuer.NoKeys.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	until(t, func() bool { return issuer.JWKS.Load() > looks })
	issuer.Rotate()
	issuer.NoKeys.Store(false)
	until(t, func() bool { return p.Keys().Generation() != before })
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("not within 10 s")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// An issuer whose clock is ahead is heard, so that its tokens are not taken for
// younger than a revocation that they are older than.
func TestIssuersClockIsAhead(t *testing.T) {
	issuer := issuertest.Start(t)
	mapping, _ := claims.Of("keycloak", issuertest.Client)
	for ahead, want := range map[time.Duration]time.Duration{0: 0, 10 * time.Second: 10 * time.Second} {
		now := func() time.Time { return time.Now().Add(-ahead) }
		p := provider.New(
			provider.Config{Issuer: issuer.URL, Mapping: mapping, Leeway: 30 * time.Second, Now: now, Log: zerolog.Nop()},
		)
		if err := p.Find(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		iat := now().Add(-time.Minute).Truncate(time.Second) // long ago, by this clock
		a, err := p.VerifyAccess(t.Context(), issuer.Sign(issuer.Access().With(issuertest.Claims{"iat": iat.Unix()})))
		if err != nil {
			t.Fatal(err)
		}
		if got := iat.Sub(a.IssuedAt); got < want-time.Second || got > want+2*time.Second {
			t.Errorf("with a clock %s ahead a token may be %s older than it says", ahead, got)
		}
		future := now().Add(5 * time.Second).Truncate(time.Second)
		if a, err = p.VerifyAccess(t.Context(), issuer.Sign(issuer.Access().With(issuertest.Claims{"iat": future.Unix()}))); err != nil {
			t.Fatal(err)
		}
		if got := future.Sub(a.IssuedAt); got != 30*time.Second {
			t.Errorf("a token from the future may be %s older than it says, want the whole leeway", got)
		}
	}
}

// Keycloak itself sends no Date: the clocks are taken for one until a token
// from the future tells otherwise.
func TestIssuerWithoutADate(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.NoDate.Store(true)
	mapping, _ := claims.Of("keycloak", issuertest.Client)
	p := provider.New(provider.Config{
		Issuer: issuer.URL, Mapping: mapping, Leeway: 30 * time.Second, Now: time.Now, Log: zerolog.Nop(),
	})
	if err := p.Find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	older := func(iat time.Time) time.Duration {
		t.Helper()
		a, err := p.VerifyAccess(t.Context(), issuer.Sign(issuer.Access().With(issuertest.Claims{"iat": iat.Unix()})))
		if err != nil {
			t.Fatal(err)
		}
		return iat.Truncate(time.Second).Sub(a.IssuedAt)
	}
	past := time.Now().Add(-time.Minute)
	if got := older(past); got != 0 {
		t.Errorf("a token may be %s older than it says, before anything is known of the clock", got)
	}
	older(time.Now().Add(10 * time.Second))
	if got := older(past); got < 9*time.Second || got > 12*time.Second {
		t.Errorf("a token may be %s older than it says, after one was 10 s ahead", got)
	}
}
