//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/test/stack"
)

// Whoever has eighty roles is let in by the last of them, and the child hears
// of all.
func TestManyRoles(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	addClient(t, map[string]any{
		"clientId": "many", "publicClient": true, "directAccessGrantsEnabled": true, "fullScopeAllowed": true,
		"defaultClientScopes": []string{"basic", "roles", "email", "profile", "mcp.access"},
	})
	names := []string{"aa with spaces", "aa,comma", "aa 관리자"}
	for i := range 80 {
		names = append(names, fmt.Sprintf("aa-%d", i))
	}
	var make, roles []map[string]any
	for _, name := range names {
		make = append(make, map[string]any{"name": name})
	}
	admin(
		t,
		http.MethodPost,
		"/partialImport",
		map[string]any{"ifResourceExists": "SKIP", "roles": map[string]any{"realm": make}},
		nil,
	)
	admin(t, http.MethodGet, "/roles?search=aa&max=200", nil, &roles)
	admin(t, http.MethodPost, "/users/"+who.id+"/role-mappings/realm", roles, nil)
	tokens, err := gate.Login(t.Context(), url.Values{
		"grant_type": {"password"}, "client_id": {"many"}, "username": {who.name}, "password": {stack.Password(who.name)},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := call(t, open(t, tokens.Access), "whoami", nil)
	for _, want := range []string{"mcp-user", "aa-79", "aa%20with%20spaces", "aa%2Ccomma", "aa%20%EA%B4%80"} {
		if !strings.Contains(text, want) {
			t.Errorf("whoami lacks %s: %s", want, text)
		}
	}
}

// Who lacks the role is told so, and whom to ask; no client is sent for scopes.
func TestMissingRoleIsNamed(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	var role map[string]any
	admin(t, http.MethodGet, "/roles/mcp-user", nil, &role)
	admin(t, http.MethodDelete, "/users/"+who.id+"/role-mappings/realm", []any{role}, nil)
	res, body := get(t, gate.URL+"/mcp", bearer(token(t, who.name)))
	challenge := res.Header.Get("WWW-Authenticate")
	if res.StatusCode != http.StatusForbidden || strings.Contains(challenge, "insufficient_scope") ||
		!strings.Contains(challenge, `error="insufficient_role"`) || !strings.Contains(body, "The role mcp-user is missing") {
		t.Errorf("%s, %s: %s", res.Status, challenge, body)
	}
	browser := signIn(t, who.name)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate.URL+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	browser.CheckRedirect = nil
	page, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if text := read(t, page); page.StatusCode != http.StatusForbidden ||
		!strings.Contains(text, "lacks the role mcp-user") {
		t.Errorf("a person sees %s at %s: %s", page.Status, page.Request.URL, text)
	}
}

// Nobody becomes somebody else by writing another address into their profile,
// and an address that nobody has verified is nobody's.
func TestOwnAddressIsNoIdentity(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	addClient(t, map[string]any{
		"clientId": "account-api", "publicClient": true, "directAccessGrantsEnabled": true, "fullScopeAllowed": true,
		"defaultClientScopes": []string{"basic", "roles", "email", "profile"},
	})
	tokens, err := gate.Login(t.Context(), url.Values{
		"grant_type": {"password"}, "client_id": {"account-api"},
		"username": {who.name}, "password": {stack.Password(who.name)},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.Issuer+"/account", strings.NewReader(
		`{"username": "`+who.name+`", "email": "ceo@example.com", "firstName": "P", "lastName": "P"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+tokens.Access)
	res, err := gate.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	said := read(t, res)
	var user map[string]any
	admin(t, http.MethodGet, "/users/"+who.id, nil, &user)
	if user["email"] != who.name+"@example.com" {
		t.Errorf("Keycloak took the address of another: %s %s, now %v", res.Status, said, user["email"])
	}
	if !strings.Contains(spoken(t, token(t, who.name)), `"email_verified":true`) {
		t.Error("the gate's token does not say that the address is verified")
	}
	tokens, err = gate.Tokens(t.Context(), who.name, "openid")
	if err != nil {
		t.Fatal(err)
	}
	user["emailVerified"] = false // now the realm would let the person in no more
	admin(t, http.MethodPut, "/users/"+who.id, user, nil)
	tokens, err = gate.Grant(t.Context(), gate.Issuer, url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"mcp-cli"}, "refresh_token": {tokens.Refresh},
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := call(t, open(t, tokens.Access), "whoami", nil); strings.Contains(text, "@example.com") {
		t.Errorf("an address that is not verified came through: %s", text)
	}
}

// spoken is the payload of a token.
func spoken(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
