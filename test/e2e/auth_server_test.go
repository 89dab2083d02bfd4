//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/test/stack"
)

// A token for one server opens that server alone. The scope is as apply.sh makes
// it.
func TestNativeTokenForOneServer(t *testing.T) {
	restarted(t, []string{stack.Authsvc}, map[string]string{"AUTHSVC_SERVER_SCOPE": "mcp.access.{server}"})
	admin(t, http.MethodPost, "/client-scopes", map[string]any{
		"name": "mcp.access.one", "protocol": "openid-connect",
		"attributes": map[string]string{"include.in.token.scope": "true"},
		"protocolMappers": []map[string]any{{
			"name": "audience of the server", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": map[string]string{
				"included.custom.audience": gate.URL + "/servers/one/mcp", "access.token.claim": "true",
			},
		}},
	}, nil)
	t.Cleanup(func() {
		var scopes []struct{ ID, Name string }
		admin(t, http.MethodGet, "/client-scopes", nil, &scopes)
		for _, scope := range scopes {
			if scope.Name == "mcp.access.one" {
				admin(t, http.MethodDelete, "/client-scopes/"+scope.ID, nil, nil)
			}
		}
	})
	addClient(t, map[string]any{
		"clientId": "narrow", "publicClient": true, "directAccessGrantsEnabled": true, "fullScopeAllowed": true,
		"defaultClientScopes": []string{"basic", "roles", "mcp.access.one"},
	})
	narrow, err := gate.Login(t.Context(), url.Values{
		"grant_type": {"password"}, "client_id": {"narrow"},
		"username": {stack.Alice}, "password": {stack.Password(stack.Alice)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, opens := range map[string]bool{"/servers/one/mcp": true, "/servers/two/mcp": false, "/mcp": false} {
		res, body := get(t, gate.URL+path, bearer(narrow.Access))
		refused := res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
		if refused == opens {
			t.Errorf("%s: %s %s %s", path, res.Status, res.Header.Get("WWW-Authenticate"), body)
		}
	}
	res, _ := get(t, gate.URL+"/servers/one/mcp", nil)
	if challenge := res.Header.Get("WWW-Authenticate"); !strings.Contains(
		challenge,
		`/servers/one/mcp", scope="mcp.access.one"`,
	) {
		t.Errorf("the challenge of a server is %s", challenge)
	}
}
