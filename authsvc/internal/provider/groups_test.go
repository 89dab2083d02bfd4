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
	"gatehouse/internal/contract"
)

// Where the token endpoint hangs, who asks for groups waits as long as it wants
// to, and not until those before it have given up. Nobody is refused for it.
func TestNobodyQueuesForTheTokenOfGroups(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.Speak(issuertest.Shape{Groups: []string{"g1"}})
	mapping, _ := claims.Of("keycloak", issuertest.Client)
	mapping.Roles = []string{"groups"}
	p := provider.New(provider.Config{
		Issuer: issuer.URL, ClientID: issuertest.Client, ClientSecret: func() string { return issuertest.Secret },
		GroupsURL: issuer.URL + "/groups/" + provider.UserName, GroupsScope: "of-the-groups",
		Mapping: mapping, Now: time.Now, Log: zerolog.Nop(),
	})
	if err := p.Find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	token := issuer.Sign(issuer.Access().With(issuertest.Claims{"_claim_names": map[string]string{"groups": "src1"}}))
	issuer.Hang.Store(true)
	const callers = 3
	failed := make(chan error, callers)
	for range callers {
		go func() { _, err := p.VerifyAccess(context.Background(), token); failed <- err }()
	}
	patience := time.After(6 * time.Second) // a call is given up after 8 s
	for range callers {
		select {
		case err := <-failed:
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, provider.ErrToken) ||
				errors.Is(err, contract.ErrIdentity) {
				t.Errorf("%v, want that the time is over", err)
			}
		case <-patience:
			t.Fatal("who asks waits behind others")
		}
	}
	issuer.Hang.Store(false)
	issuer.Drop()
	until(t, func() bool {
		a, err := p.VerifyAccess(t.Context(), token)
		return err == nil && a.Identity.HasRole("g1")
	})
}
