//go:build e2e

package e2e

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"gatehouse/test/stack"
)

const stepScope = "demo.write"

const demoPolicy = `default: deny
rules:
  - {name: users, tools: [whoami], roles: [mcp-user]}
  - {name: admins, tools: [add], roles: [mcp-admin], log_arguments: true}
  - {name: writers, tools: [countdown], roles: [mcp-user], scopes: [` + stepScope + `]}
`

// restarted starts parts again with more in their environment, and as they
// were when the test ends. Only a gate of our own takes it.
func restarted(t *testing.T, parts []string, env map[string]string) {
	t.Helper()
	again := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, part := range parts {
			if err := errors.Join(gate.Stop(part), gate.StartPart(ctx, part)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(again) // after the variables are as they were
	for name, value := range env {
		t.Setenv(name, value)
	}
	again()
}

// governed is the bridge with the policy and an audit log, whose file it
// returns.
func governed(t *testing.T) (audit string) {
	t.Helper()
	dir := t.TempDir()
	policy, audit := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.jsonl")
	if err := os.WriteFile(policy, []byte(demoPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	restarted(t, []string{stack.Bridge}, map[string]string{
		"BRIDGE_POLICY": policy, "BRIDGE_AUDIT": audit,
		"BRIDGE_RESOURCE_METADATA": gate.URL + "/.well-known/oauth-protected-resource/mcp",
	})
	return audit
}

func tools(t *testing.T, session *mcp.ClientSession) (names []string) {
	t.Helper()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// TestNativePolicyByRole: two users, two roles, the same server, different
// tools, in the list and in calls, over both transports.
func TestNativePolicyByRole(t *testing.T) {
	governed(t)
	for user, may := range map[string][]string{stack.Alice: {"whoami"}, stack.Bob: {"add", "whoami"}} {
		c := client(bearer(token(t, user)))
		for kind, transport := range map[string]mcp.Transport{
			"mcp": &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: c},
			"sse": &mcp.SSEClientTransport{Endpoint: gate.URL + "/sse", HTTPClient: c},
		} {
			t.Run(user+"/"+kind, func(t *testing.T) {
				session := connect(t, transport, nil)
				if shown := tools(t, session); !slices.Equal(shown, may) {
					t.Errorf("the list shows %v, want %v", shown, may)
				}
				call(t, session, "whoami", nil)
				res, err := session.CallTool(
					t.Context(),
					&mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 1, "b": 2}},
				)
				switch {
				case user == stack.Bob && (err != nil || res.IsError):
					t.Errorf("add: %v, %v", res, err)
				case user == stack.Alice && (err == nil || !strings.Contains(err.Error(), "rule admins")):
					t.Errorf("add: %v, %v; want a refusal that names the rule", res, err)
				}
				if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "ask"}); err == nil ||
					!strings.Contains(err.Error(), "rule default") {
					t.Errorf("ask: %v, want a refusal by the default", err)
				}
			})
		}
	}
}

// TestNativeStepUpByScope: the official client is told which scope a tool
// needs, gets a token with it, and goes on in the same session.
func TestNativeStepUpByScope(t *testing.T) {
	governed(t)
	addScope(t, stepScope, "mcp-cli")
	asked := []string{}
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: "mcp-cli"},
		RedirectURL:         "http://127.0.0.1/callback",
		Client:              client(nil),
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			u, err := url.Parse(args.URL)
			if err != nil {
				return nil, err
			}
			asked = append(asked, u.Query().Get("scope"))
			return authorize(args.URL, stack.Alice)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := connect(
		t,
		&mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: client(nil), OAuthHandler: handler},
		nil,
	)
	before := session.ID()
	if shown := tools(t, session); !slices.Equal(shown, []string{"whoami"}) {
		t.Errorf("before the scope the list shows %v", shown)
	}
	if said := call(t, session, "countdown", map[string]any{"from": 1}); said != "lift-off" {
		t.Errorf("countdown = %q", said)
	}
	if shown := tools(t, session); !slices.Equal(shown, []string{"countdown", "whoami"}) {
		t.Errorf("with the scope the list shows %v", shown)
	}
	if session.ID() != before {
		t.Error("stepping up took a new session")
	}
	if len(asked) != 2 || strings.Contains(asked[0], stepScope) || !strings.Contains(asked[1], stepScope) {
		t.Errorf("the client asked for the scopes %q, want the second to hold %s", asked, stepScope)
	}
}

// addScope makes an optional scope of a client, until the test ends.
func addScope(t *testing.T, name, clientID string) {
	t.Helper()
	ctx := context.Background()
	if err := gate.Admin(ctx, http.MethodPost, "/client-scopes", map[string]any{
		"name": name, "protocol": "openid-connect", "attributes": map[string]string{"include.in.token.scope": "true"},
	}, nil); err != nil {
		t.Fatal(err)
	}
	var scopes []struct{ ID, Name string }
	if err := gate.Admin(ctx, http.MethodGet, "/client-scopes", nil, &scopes); err != nil {
		t.Fatal(err)
	}
	var clients []struct{ ID string }
	if err := gate.Admin(ctx, http.MethodGet, "/clients?clientId="+clientID, nil, &clients); err != nil ||
		len(clients) != 1 {
		t.Fatal(clients, err)
	}
	for _, s := range scopes {
		if s.Name != name {
			continue
		}
		t.Cleanup(func() { _ = gate.Admin(ctx, http.MethodDelete, "/client-scopes/"+s.ID, nil, nil) })
		if err := gate.Admin(ctx, http.MethodPut,
			"/clients/"+clients[0].ID+"/optional-client-scopes/"+s.ID, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// authorize is the user at the provider's page: it signs in, again where it is
// refused, and returns what the redirect to the client carries.
func authorize(address, user string) (*auth.AuthorizationResult, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := client(nil)
	c.Jar = jar
	page, err := c.Get(address)
	for end := time.Now().Add(stack.LoginLimit); err == nil; <-time.After(100 * time.Millisecond) {
		if to, nowhere := page.Location(); nowhere == nil {
			q := to.Query()
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, page.Body.Close()
		}
		if time.Now().After(end) {
			return nil, errors.Join(errors.New("the sign-in is refused: "+page.Status), page.Body.Close())
		}
		page, err = fillIn(c, page, user)
	}
	return nil, err
}

// fillIn types name and password into the form of a page.
func fillIn(c *http.Client, page *http.Response, user string) (*http.Response, error) {
	body, err := io.ReadAll(page.Body)
	_ = page.Body.Close()
	if err != nil {
		return nil, err
	}
	action := formAction.FindSubmatch(body)
	if action == nil {
		return nil, errors.New("no form to sign in: " + page.Status)
	}
	return c.PostForm(
		html.UnescapeString(string(action[1])),
		url.Values{"username": {user}, "password": {stack.Password(user)}},
	)
}
