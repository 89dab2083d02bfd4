package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/identity"
	"gatehouse/internal/contract"
)

// TestWhatAnEntryAsksOfItsCallers: one of its roles and all of its scopes; a
// scope that is missing can be had by a new sign-in, a role cannot.
func TestWhatAnEntryAsksOfItsCallers(t *testing.T) {
	signers := newSigners(t)
	keys := &identity.Keys{URL: signers.URL + contract.PathKeys, Client: http.DefaultClient}
	keys.Refresh(t.Context())
	asks := config.Server{
		Name: "slack",
		Gate: config.Gate{Roles: []string{"slack users", "admin"}, Scopes: []string{"a", "b"}},
	}
	turned := 0
	for name, tc := range map[string]struct {
		entry     config.Server
		id        contract.Identity
		status    int
		challenge string
	}{
		"nothing is asked": {config.Server{Name: "free"}, contract.Identity{}, 200, ""},
		"all of it":        {asks, contract.Identity{Roles: []string{"x", "admin"}, Scopes: []string{"b", "c", "a"}}, 200, ""},
		"no role":          {asks, contract.Identity{Roles: []string{"x"}, Scopes: []string{"a", "b"}}, 403, ""},
		"half the scopes": {asks, contract.Identity{Roles: []string{"admin"}, Scopes: []string{"a", "c"}}, 403,
			`Bearer error="insufficient_scope", scope="a b c", resource_metadata="https://m"`},
	} {
		t.Run(name, func(t *testing.T) {
			within := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			gate := admit(tc.entry, "https://m", func(*http.Request, error) { turned++ })
			h := identity.NewVerifier(keys).Wrap(gate(within))
			r, w := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("{}")), httptest.NewRecorder()
			tc.id.Subject = "u"
			r.Header.Set(contract.HeaderAssertion, signers.assertion(t, tc.id))
			h.ServeHTTP(w, r)
			if w.Code != tc.status || w.Header().Get("WWW-Authenticate") != tc.challenge {
				t.Errorf("%d with the challenge %q, want %d with %q: %s",
					w.Code, w.Header().Get("WWW-Authenticate"), tc.status, tc.challenge, w.Body)
			}
		})
	}
	if turned != 2 {
		t.Errorf("%d callers were told of", turned)
	}
}
