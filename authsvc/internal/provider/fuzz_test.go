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

func found(t testing.TB) (*issuertest.Issuer, *provider.Provider) {
	issuer := issuertest.Start(t)
	mapping, _ := claims.Of("keycloak", issuertest.Client)
	p := provider.New(provider.Config{
		Issuer: issuer.URL, ClientID: issuertest.Client, ClientSecret: func() string { return issuertest.Secret },
		Mapping: mapping, Leeway: time.Second, Now: time.Now, Log: zerolog.Nop(),
	})
	if err := p.Find(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	return issuer, p
}

func FuzzAccessToken(f *testing.F) {
	issuer, p := found(f)
	good := issuer.Sign(issuer.Access())
	f.Add(good)
	f.Add(issuer.Sign(issuer.Logout()))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		_, err := p.VerifyAccess(t.Context(), token)
		if err == nil && token != good {
			t.Errorf("accepted a token that was never issued: %q", token)
		}
		if err != nil && !errors.Is(err, provider.ErrToken) && token != good {
			t.Errorf("%q: %v is not a refusal", token, err)
		}
	})
}

func FuzzLogoutToken(f *testing.F) {
	issuer, p := found(f)
	good := issuer.Sign(issuer.Logout())
	f.Add(good)
	f.Add(issuer.Sign(issuer.Access()))
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := p.VerifyLogout(t.Context(), token); err == nil && token != good {
			t.Errorf("accepted a logout token that was never issued: %q", token)
		}
	})
}
