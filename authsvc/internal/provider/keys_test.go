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

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("not within 10 s")
		}
		<-time.After(5 * time.Millisecond)
	}
}
