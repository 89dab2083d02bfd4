//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/test/stack"
)

func TestRefusesTokens(t *testing.T) {
	good, err := gate.Tokens(t.Context(), stack.Alice, "openid")
	if err != nil {
		t.Fatal(err)
	}
	for name, authorization := range map[string]string{
		"nothing": "", "garbage": "Bearer garbage", "cut": "Bearer " + good.Access[:len(good.Access)-6],
		"ID token": "Bearer " + good.ID, "refresh token": "Bearer " + good.Refresh, "control byte": "Bearer a\tb",
		"wrong audience": "Bearer " + strangersToken(t, "no-audience"), "other realm": "Bearer " + otherRealmsToken(t),
	} {
		t.Run(name, func(t *testing.T) {
			res, body := get(t, gate.URL+"/sse", map[string]string{"Authorization": authorization})
			refused(t, res, body)
		})
	}
}

func refused(t *testing.T, res *http.Response, body string) {
	t.Helper()
	challenges := res.Header.Values("WWW-Authenticate")
	if res.StatusCode != http.StatusUnauthorized || len(challenges) != 1 ||
		!strings.Contains(challenges[0], "resource_metadata=") || !strings.Contains(body, `"Unauthorized"`) {
		t.Errorf("%s, challenges %q, body %s", res.Status, challenges, body)
	}
	headersOnce(t, res)
}

// An access token of five seconds: good at first, then refused.
func TestRefusesAnExpiredToken(t *testing.T) {
	t.Parallel()
	short := strangersToken(t, "short-lived")
	c := client(bearer(short))
	if res, body := send(t, c, http.MethodGet, gate.URL+"/mcp"); res.StatusCode == http.StatusUnauthorized {
		t.Fatalf("while it lives: %s %s", res.Status, body)
	}
	if claims := payload(t, short); claims.Expires-claims.Issued != 5 {
		t.Fatalf("the token lives %d s, want 5", claims.Expires-claims.Issued)
	}
	var res *http.Response
	var body string
	took := eventually(t, 45*time.Second, "401", func() bool {
		res, body = send(t, c, http.MethodGet, gate.URL+"/mcp")
		return res.StatusCode == http.StatusUnauthorized
	})
	refused(t, res, body)
	t.Logf("refused %.1f s after its first use", took.Seconds())
}

type claims struct {
	Issued  int64 `json:"iat"`
	Expires int64 `json:"exp"`
}

func payload(t *testing.T, token string) (c claims) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// strangersToken is Alice's token for a client that the test adds to the realm.
func strangersToken(t *testing.T, kind string) string {
	t.Helper()
	client := map[string]any{
		"clientId": kind, "publicClient": true, "standardFlowEnabled": false, "directAccessGrantsEnabled": true,
		"fullScopeAllowed": true, "defaultClientScopes": []string{"basic", "roles", "email", "profile"},
	}
	if kind == "short-lived" {
		client["defaultClientScopes"] = []string{"basic", "roles", "email", "profile", "mcp.access"}
		client["attributes"] = map[string]string{"access.token.lifespan": "5"}
	}
	addClient(t, client)
	tokens, err := gate.Login(t.Context(), url.Values{
		"grant_type": {"password"}, "client_id": {kind}, "username": {stack.Alice}, "password": {stack.Password(stack.Alice)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens.Access
}

// addClient adds a client to the realm until the test ends.
func addClient(t *testing.T, client map[string]any) {
	t.Helper()
	if err := gate.Admin(t.Context(), http.MethodPost, "/clients", client, nil); err != nil {
		t.Fatal(err)
	}
	var found []struct {
		ID string `json:"id"`
	}
	if err := gate.Admin(t.Context(), http.MethodGet,
		"/clients?clientId="+url.QueryEscape(client["clientId"].(string)), nil, &found); err != nil || len(found) != 1 {
		t.Fatalf("the new client: %v, %v", found, err)
	}
	t.Cleanup(func() {
		if err := gate.Admin(context.Background(), http.MethodDelete, "/clients/"+found[0].ID, nil, nil); err != nil {
			t.Error(err)
		}
	})
}

// otherRealmsToken is a token with the right audience of another realm of the
// same Keycloak.
func otherRealmsToken(t *testing.T) string {
	t.Helper()
	realm := map[string]any{
		"realm": "strangers", "enabled": true, "sslRequired": "none",
		"users": []map[string]any{{
			"username": "alice", "enabled": true, "email": "alice@example.com", "emailVerified": true,
			"firstName": "A", "lastName": "A",
			"credentials": []map[string]any{{"type": "password", "value": "x", "temporary": false}},
		}},
		"clients": []map[string]any{{
			"clientId": "mcp-cli", "publicClient": true, "directAccessGrantsEnabled": true,
			"protocolMappers": []map[string]any{{
				"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
				"config": map[string]string{"included.custom.audience": gate.URL + "/mcp", "access.token.claim": "true"},
			}},
		}},
	}
	if err := gate.AdminServer(t.Context(), http.MethodPost, "/realms", realm, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gate.AdminServer(context.Background(), http.MethodDelete, "/realms/strangers", nil, nil); err != nil {
			t.Error(err)
		}
	})
	tokens, err := gate.Grant(t.Context(), strings.TrimSuffix(gate.Issuer, stack.Realm)+"strangers", url.Values{
		"grant_type": {"password"}, "client_id": {"mcp-cli"}, "username": {"alice"}, "password": {"x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens.Access
}

func TestPublicPages(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/health":                                   {200, "healthy"},
		"/.well-known/oauth-protected-resource":     {200, gate.Issuer},
		"/.well-known/oauth-protected-resource/mcp": {200, gate.URL + "/mcp"},
		"/.well-known/nothing":                      {404, "Not Found"},
		"/healthz":                                  {404, "Not Found"},
		"/_gatehouse/auth":                          {404, "Not Found"},
	} {
		t.Run(path, func(t *testing.T) {
			res, body := get(t, gate.URL+path, nil)
			if res.StatusCode != want.status || !strings.Contains(body, want.says) {
				t.Errorf("%s %s; want %d and %q", res.Status, body, want.status, want.says)
			}
			headersOnce(t, res)
		})
	}
}

func TestPlainHTTPOnlyRedirects(t *testing.T) {
	res, _ := get(t, gate.PlainURL+"/mcp?x=1", nil)
	if want := gate.URL + "/mcp?x=1"; res.StatusCode != http.StatusMovedPermanently || res.Header.Get("Location") != want {
		t.Errorf("%s to %q, want 301 to %q", res.Status, res.Header.Get("Location"), want)
	}
	headersOnce(t, res)
}

func TestRefusesOldTLS(t *testing.T) {
	conn, err := tls.Dial("tcp", address(), &tls.Config{
		MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, InsecureSkipVerify: true,
	})
	if err == nil {
		_ = conn.Close()
		t.Fatal("TLS 1.1 was taken")
	}
	if !strings.Contains(err.Error(), "remote error: tls") {
		t.Errorf("%v, want the gate's own refusal", err)
	}
}
