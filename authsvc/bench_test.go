package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/check"
	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/resource"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// discard is a ResponseWriter that costs nothing, so that what is measured is
// the verdict alone.
type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(code int)        { d.code = code }

// BenchmarkVerdict shows what a remembered verdict costs beyond answering.
func BenchmarkVerdict(b *testing.B) {
	issuer := issuertest.Start(b)
	svc, err := newService(config{
		Identity: identityFlags{Provider: "keycloak"}, AllowAnyUser: true,
		PublicURL: issuertest.Public, Issuer: issuer.URL, ClientID: issuertest.Client,
		ClientSecret: issuertest.Secret, StoreKey: issuertest.Secret,
		Audience: issuertest.Audience, Scopes: []string{"mcp.access"}, RedisURL: "memory", SessionAge: time.Hour, SessionIdle: time.Hour,
	}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	if err := svc.provider.Find(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	if err := svc.keys.Reload(b.Context()); err != nil {
		b.Fatal(err)
	}
	h := check.New(&check.Handler{
		Sessions: svc.sessions, Tokens: svc.tokens, Signer: svc.keys, Endings: svc.endings, Once: svc.once,
		Rules: resource.Rules{PublicURL: issuertest.Public, Scopes: []string{"mcp.access"}}, Now: time.Now, Log: svc.log,
	}, 1000, httpkit.NewRegistry())
	secret, _, err := svc.sessions.Create(b.Context(), session.Grant{Identity: contract.Identity{
		Subject: issuertest.Subject, Expires: time.Now().Add(time.Hour),
	}}, session.Browser{Since: time.Now()})
	if err != nil {
		b.Fatal(err)
	}
	floor := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for _, bench := range []struct {
		name    string
		handler http.Handler
		header  [2]string
	}{
		{"floor", floor, [2]string{"Cookie", "a=b"}},
		{"cookie", h, [2]string{"Cookie", session.CookieName + "=" + secret.Encode()}},
		{"bearer", h, [2]string{"Authorization", "Bearer " + issuer.Sign(issuer.Access())}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/auth", nil)
			r.Header.Set(bench.header[0], bench.header[1])
			b.ReportAllocs()
			w := &discard{header: http.Header{}}
			for b.Loop() {
				clear(w.header)
				bench.handler.ServeHTTP(w, r)
			}
			if w.code != http.StatusOK {
				b.Fatalf("answered %d", w.code)
			}
		})
	}
}
