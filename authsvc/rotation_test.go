package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
)

// secretFile starts a replica whose client secret lies in a file.
func secretFile(path string) func(*config) {
	return func(c *config) {
		c.ClientSecret, c.ClientSecretFile, c.StoreKey = "", path, testStoreKey
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a key signed is refused once the key was replaced, be it under its own kid
// or without one, although it was let in before.
func TestAKeyReplacedUnderItsNameOpensNothing(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	for _, kid := range []string{issuer.Key().KeyID, ""} {
		issuer.Replace(kid)
		if err := g.svc.provider.Find(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		token := bearer(issuer.Sign(issuer.Access()))
		g.wantVerdict("200", token...)
		issuer.Replace(kid)
		if err := g.svc.provider.Find(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a token of a key that was replaced is refused", func() bool { return verdict(g.auth(token...)) == "401" })
	}
}

// The client's secret is rotated while two replicas run: the provider takes
// both for a while (Keycloak's client-secret-rotation), the file is written in
// that time, the old one is withdrawn. No login fails and nobody is signed out.
func TestClientSecretRotation(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	issuer.TokenLife.Store(1)
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, issuertest.Secret+"\n")
	gates := []*gate{
		start(t, issuer, redis.URL, secretFile(path)).ready(),
		start(t, issuer, redis.URL, secretFile(path)).ready(),
	}

	issuer.Accept("new", issuertest.Secret)
	gates[0].login(issuer)
	write(t, path, "") // as an editor leaves it for a moment
	cookie := gates[1].login(issuer)
	if got := issuer.Shown(); got != issuertest.Secret {
		t.Errorf("with an empty file %q is used, want the last secret", got)
	}
	write(t, path, "new\n")
	issuer.Accept("new")
	eventually(t, "a refresh", func() bool { // the token has run out
		for _, g := range gates {
			g.wantVerdict("200", "Cookie", cookie)
		}
		return issuer.Refreshes.Load() > 0
	})
	for _, g := range gates {
		g.login(issuer)
	}
}

// Without an overlap logins fail for as long as the two differ; a session whose
// token runs out meanwhile goes on, and is renewed when the file is right.
func TestClientSecretChangesWithoutOverlap(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.TokenLife.Store(1)
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, issuertest.Secret)
	g := start(t, issuer, "memory", secretFile(path)).ready()
	cookie := g.login(issuer)
	issuer.Accept("new")
	browser, q := g.begin("/mcp")
	issuer.Expect(q.Get("nonce"))
	if res := g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", browser); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a login between the two answered %d, want 503", res.StatusCode)
	}
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		g.wantVerdict("200", "Cookie", cookie) // past the token's own end
	}
	write(t, path, "new")
	eventually(t, "a refresh", func() bool {
		g.wantVerdict("200", "Cookie", cookie)
		return issuer.Refreshes.Load() > 0
	})
}
