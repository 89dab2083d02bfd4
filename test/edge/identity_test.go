package edge

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/contract"
)

// The largest identity that the contract lets travel arrives whole, whether it
// comes from authsvc or from memory.
func TestLargestIdentityArrives(t *testing.T) {
	t.Parallel()
	field, want := strings.Repeat("é", contract.MaxFieldBytes/2), map[string]string{}
	for _, name := range contract.IdentityHeaders() {
		want[name] = field
	}
	want[contract.HeaderUserRoles] = contract.EncodeRoles(
		[]string{strings.Repeat("a,b", (contract.MaxPlainBytes-20)/5), "last"},
	)
	want[contract.HeaderUserScopes] = "mcp.access"
	want[contract.HeaderAssertion] = strings.Repeat("x", contract.MaxAssertionBytes)
	if n := len(want[contract.HeaderUserRoles]) + len(want[contract.HeaderUserScopes]); n > contract.MaxPlainBytes ||
		n < contract.MaxPlainBytes-100 {
		t.Fatalf("roles and scopes take %d bytes, want about %d", n, contract.MaxPlainBytes)
	}
	g := start(t, options{auth: func(w http.ResponseWriter, r *http.Request) {
		allow(w, r)
		for name, value := range want {
			w.Header().Set(name, value)
		}
	}})
	for _, from := range []string{"authsvc", "memory"} {
		if res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer); res.StatusCode != http.StatusOK {
			t.Fatalf("from %s: %s", from, res.Status)
		}
		for name, value := range want {
			if got := g.lastBridge.Load().Header.Get(name); got != value {
				t.Errorf("from %s: the bridge got %d bytes of %s, want %d", from, len(got), name, len(value))
			}
		}
	}
}

// Who lacks a role is told which, and a person is shown authsvc's page of it.
func TestForbiddenSaysWhatLacks(t *testing.T) {
	t.Parallel()
	const challenge = `Bearer error="insufficient_role", ` +
		`error_description="The role mcp-user is missing. Ask ops@example.com."`
	g := start(t, options{auth: refuse(http.StatusForbidden, "WWW-Authenticate", challenge)})
	res, body := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
	if res.StatusCode != http.StatusForbidden || res.Header.Get("WWW-Authenticate") != challenge ||
		!strings.Contains(body, `"The role mcp-user is missing. Ask ops@example.com."`) {
		t.Errorf("a client is told %s %q: %s", res.Status, res.Header.Get("WWW-Authenticate"), body)
	}
	res, _ = g.do(t, "GET", "/mcp", "", "Cookie", "a=b", "Accept", "text/html")
	if res.StatusCode != http.StatusFound || !strings.HasSuffix(res.Header.Get("Location"), "/account/denied") {
		t.Errorf("a person is sent to %s %q", res.Status, res.Header.Get("Location"))
	}
}
