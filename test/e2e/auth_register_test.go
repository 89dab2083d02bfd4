//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"
)

// The realm's registration policies let the common MCP clients in, by what
// they register as, and strangers out.
func TestRegistration(t *testing.T) {
	t.Parallel()
	const local = "http://localhost:8787/callback"
	for name, c := range map[string]struct {
		redirects []string
		scope     string
		uri       string
		want      int
	}{
		"mcp-remote": {
			[]string{"http://127.0.0.1:3334/oauth/callback"},
			"", "https://github.com/geelen/mcp-remote", http.StatusCreated,
		},
		"MCP Inspector": {
			[]string{"http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"},
			"openid mcp.access", "", http.StatusCreated,
		},
		"Claude Code": {[]string{"http://localhost:54545/callback"}, "mcp.access", "", http.StatusCreated},
		"Claude": {
			[]string{"https://claude.ai/api/mcp/auth_callback"},
			"mcp.access offline_access", "", http.StatusCreated,
		},
		"Claude (com)": {[]string{"https://claude.com/api/mcp/auth_callback"}, "mcp.access", "", http.StatusCreated},
		"VS Code": {
			[]string{
				"https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect",
				"http://127.0.0.1/", "http://127.0.0.1:33418/",
			},
			"mcp.access", "https://code.visualstudio.com", http.StatusCreated,
		},
		"ChatGPT": {
			[]string{"https://chatgpt.com/connector_platform_oauth_redirect"},
			"mcp.access", "", http.StatusCreated,
		},
		"ChatGPT, one connector": {
			[]string{"https://chatgpt.com/connector/oauth/abc123"},
			"mcp.access", "", http.StatusCreated,
		},
		"OpenAI's review": {
			[]string{"https://platform.openai.com/apps-manage/oauth"},
			"mcp.access", "", http.StatusCreated,
		},
		"Cursor": {
			[]string{"cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", local},
			"mcp.access", "https://cursor.com", http.StatusCreated,
		},
		"opencode": {
			[]string{"http://127.0.0.1:19876/mcp/oauth/callback"},
			"", "https://opencode.ai", http.StatusCreated,
		},
		"Windsurf": {
			[]string{"windsurf://codeium.windsurf/oauth/callback", local},
			"", "https://windsurf.com", http.StatusCreated,
		},
		"Raycast": {
			[]string{"https://raycast.com/redirect?packageName=Extension"},
			"", "https://www.raycast.com", http.StatusCreated,
		},
		"JetBrains": {
			[]string{"http://localhost:63342/api/mcp/callback"},
			"", "https://www.jetbrains.com", http.StatusCreated,
		},
		"Zed":                {[]string{"http://127.0.0.1:45678/callback"}, "", "https://zed.dev", http.StatusCreated},
		"an address of IPv6": {[]string{"http://[::1]:8787/callback"}, "mcp.access", "", http.StatusCreated},
		"a stranger's site":  {[]string{"https://evil.example/callback"}, "mcp.access", "", http.StatusForbidden},
		"a site beside": {
			[]string{"http://localhost/cb", "https://evil.example/callback"},
			"mcp.access", "", http.StatusForbidden,
		},
		"a part of a name":  {[]string{"https://claude.ai.evil.example/callback"}, "mcp.access", "", http.StatusForbidden},
		"a scope of others": {[]string{"http://localhost:1234/cb"}, "mcp.access service_account", "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			got, body := register(t, map[string]any{
				"client_name": name, "redirect_uris": c.redirects, "scope": c.scope, "client_uri": c.uri,
				"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
				"response_types": []string{"code"},
			})
			if got != c.want {
				t.Errorf("answered %d, want %d: %s", got, c.want, body)
			}
		})
	}
}

// A stranger's client says nothing of what stands in its tokens: by Keycloak's own
// way to register it could put the first name of its user into the roles.
func TestRegistrationTakesNoClaims(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(map[string]any{
		"clientId": "claims-of-its-own", "protocol": "openid-connect", "publicClient": true, "consentRequired": true,
		"redirectUris": []string{"http://127.0.0.1:9999/callback"},
		"protocolMappers": []any{map[string]any{
			"name": "roles", "protocol": "openid-connect", "protocolMapper": "oidc-usermodel-attribute-mapper",
			"config": map[string]string{
				"user.attribute": "firstName", "claim.name": "realm_access.roles", "access.token.claim": "true",
				"multivalued": "true", "jsonType.label": "String",
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := gate.HTTPClient().Post(gate.Issuer+"/clients-registrations/default", "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, res); res.StatusCode != http.StatusNotFound {
		t.Errorf("Keycloak's own registration: %s %s", res.Status, body)
	}
	// Where another Keycloak has it open, the realm's policy refuses the claims.
	var realm struct{ ID string }
	admin(t, http.MethodGet, "", nil, &realm)
	var policies []struct {
		ProviderID string
		SubType    string
		Config     map[string][]string
	}
	admin(t, http.MethodGet, "/components?parent="+realm.ID+
		"&type=org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy", nil, &policies)
	seen := 0
	for _, p := range policies {
		if p.ProviderID != "allowed-protocol-mappers" {
			continue
		}
		seen++
		if got := p.Config["allowed-protocol-mapper-types"]; !slices.Equal(got, []string{"oidc-full-name-mapper"}) {
			t.Errorf("a client (%s) may bring the mappers %q", p.SubType, got)
		}
	}
	if seen != 2 {
		t.Errorf("%d policies about mappers, want one for strangers and one for the others", seen)
	}
}

// register asks as a client does that nobody knows, and removes what it made.
func register(t *testing.T, metadata map[string]any) (int, string) {
	t.Helper()
	for name, value := range metadata {
		if value == "" {
			delete(metadata, name)
		}
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(
		ctx,
		http.MethodPost,
		gate.Issuer+"/clients-registrations/openid-connect",
		bytes.NewReader(text),
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := gate.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, res)
	var made struct {
		ID string `json:"client_id"`
	}
	if json.Unmarshal([]byte(body), &made) == nil && made.ID != "" {
		admin(t, http.MethodDelete, "/clients/"+idOf(t, "/clients?clientId="+made.ID), nil, nil)
	}
	return res.StatusCode, body
}
