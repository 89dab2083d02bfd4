//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/test/stack"
)

// A machine signs in for itself.
func TestClientCredentials(t *testing.T) {
	t.Parallel()
	addClient(t, map[string]any{
		"clientId": "robot", "secret": "robot-secret", "serviceAccountsEnabled": true, "standardFlowEnabled": false,
		"fullScopeAllowed": true, "defaultClientScopes": []string{"basic", "roles", "profile", "mcp.access"},
	})
	account := person{id: idOf(t, "/users?exact=true&username=service-account-robot")}
	account.grant(t, "mcp-user")
	tokens, err := gate.Grant(t.Context(), gate.Issuer, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {"robot-secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if who := call(t, open(t, tokens.Access), "whoami", nil); !strings.Contains(who, "service-account-robot") ||
		!strings.Contains(who, "mcp-user") {
		t.Errorf("whoami = %q", who)
	}
}

// A service of the realm trades its user's token for one that the gate takes
// (RFC 8693, Keycloak's standard token exchange).
func TestTokenExchange(t *testing.T) {
	t.Parallel()
	addClient(t, map[string]any{
		"clientId": "service", "secret": "service-secret", "standardFlowEnabled": false, "fullScopeAllowed": true,
		"defaultClientScopes": []string{"basic", "roles", "email", "profile", "mcp.access"},
		"attributes":          map[string]string{"standard.token.exchange.enabled": "true"},
	})
	addClient(t, map[string]any{
		"clientId": "portal", "publicClient": true, "directAccessGrantsEnabled": true, "fullScopeAllowed": true,
		"defaultClientScopes": []string{"basic", "roles", "email", "profile"},
		"protocolMappers": []map[string]any{{
			"name": "service", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": map[string]string{"included.client.audience": "service", "access.token.claim": "true"},
		}},
	})
	theirs, err := gate.Login(t.Context(), url.Values{
		"grant_type": {"password"}, "client_id": {"portal"},
		"username": {stack.Alice}, "password": {stack.Password(stack.Alice)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res, _ := get(t, gate.URL+"/mcp", bearer(theirs.Access)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the portal's own token: %s, want 401: it is not for the gate", res.Status)
	}
	exchanged, err := gate.Grant(t.Context(), gate.Issuer, url.Values{
		"grant_type": {
			"urn:ietf:params:oauth:grant-type:token-exchange",
		}, "client_id": {"service"}, "client_secret": {"service-secret"},
		"subject_token": {theirs.Access}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if who := call(t, open(t, exchanged.Access), "whoami", nil); !strings.Contains(who, "alice@example.com") {
		t.Errorf("whoami = %q", who)
	}
}

// A token that Keycloak bound to a key (RFC 9449) is good with a proof for
// this very request, once, and worth nothing to whoever steals it. The person is
// the test's own: a request that the limit of a shared one refused has used its
// proof, and would be sent again with it.
func TestDPoP(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	addClient(t, map[string]any{
		"clientId": "dpop", "publicClient": true, "directAccessGrantsEnabled": true,
		"standardFlowEnabled": false, "fullScopeAllowed": true,
		"defaultClientScopes": []string{"basic", "roles", "email", "profile", "mcp.access"},
		"attributes":          map[string]string{"dpop.bound.access.tokens": "true"},
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := gate.Issuer + "/protocol/openid-connect/token"
	form := url.Values{
		"grant_type": {"password"},
		"client_id":  {"dpop"},
		"username":   {who.name},
		"password":   {stack.Password(who.name)},
	}
	res, body := post(t, endpoint, form, dpopProof(t, key, http.MethodPost, endpoint, ""))
	var tokens stack.Tokens
	if err := json.Unmarshal([]byte(body), &tokens); err != nil || tokens.Access == "" {
		t.Fatalf("%s %s", res.Status, body)
	}
	ask := func(authorization, proof string) *http.Response {
		set := map[string]string{"Authorization": authorization + " " + tokens.Access}
		if proof != "" {
			set["DPoP"] = proof
		}
		res, _ := get(t, gate.URL+"/mcp", set)
		return res
	}
	once := dpopProof(t, key, http.MethodGet, gate.URL+"/mcp", tokens.Access)
	if res := ask("DPoP", once); !admitted(res) {
		t.Errorf("with its proof: %s %q", res.Status, res.Header.Get("WWW-Authenticate"))
	}
	for name, res := range map[string]*http.Response{
		"the same proof again":      ask("DPoP", once),
		"no proof":                  ask("DPoP", ""),
		"as Bearer":                 ask("Bearer", ""),
		"a proof for another place": ask("DPoP", dpopProof(t, key, http.MethodGet, gate.URL+"/sse", tokens.Access)),
	} {
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s, want 401", name, res.Status)
		}
	}
}

func dpopProof(t *testing.T, key *ecdsa.PrivateKey, method, address, token string) string {
	t.Helper()
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": address, "iat": time.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"),
	)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func post(t *testing.T, address string, form url.Values, proof string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("DPoP", proof)
	res, err := gate.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res, read(t, res)
}
