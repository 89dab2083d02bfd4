package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
)

// at asks for a verdict on a request for an address.
func (g *gate) at(uri, token string) *http.Response {
	return g.do(g.public, http.MethodGet, "/auth", "", append(bearer(token), contract.HeaderOriginalURI, uri)...)
}

// A token opens what it was made for: the gate and all that is under it, or one
// server alone.
func TestTreeOfResources(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.ServerScope = "mcp.access.{server}" }).ready()
	token := func(scope string, audience ...string) string {
		return issuer.Sign(issuer.Access().With(fields{"aud": audience, "scope": scope}))
	}
	const public, anywhere = issuertest.Public, "/mcp /sse /message?sessionId=x /servers/one/mcp /servers/two/sse"
	for name, c := range map[string]struct{ token, opens, not, want string }{
		"the gate":     {token("mcp.access", public+"/mcp"), anywhere, "", ""},
		"its alias":    {token("mcp.access", public+"/sse"), anywhere, "", ""},
		"its origin":   {token("mcp.access", public), anywhere, "", ""},
		"/message":     {token("mcp.access", public+"/message"), anywhere, "", ""},
		"a server":     {token("mcp.access.one", public+"/servers/one/mcp"), "/servers/one/mcp /servers/one/message", "/mcp /sse / /servers/two/mcp /servers/one/../two/mcp", "401"},
		"two servers":  {token("mcp.access.one mcp.access.two", public+"/servers/one/mcp", public+"/servers/two/mcp"), "/servers/one/mcp /servers/two/mcp", "/mcp /servers/three/mcp", "401"},
		"wrong scope":  {token("mcp.access.two", public+"/servers/one/mcp"), "", "/servers/one/mcp", "403"},
		"no scope":     {token("mcp.access.one", public+"/mcp"), "", "/mcp /servers/one/mcp", "403"},
		"another gate": {token("mcp.access", public+".evil/mcp"), "", anywhere, "401"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, uri := range strings.Fields(c.opens) {
				if res := g.at(uri, c.token); verdict(res) != "200" {
					t.Errorf("%s: %s %s", uri, verdict(res), res.Header.Get("WWW-Authenticate"))
				} else if cached := res.Header.Get("Cache-Control") != ""; cached && strings.Contains(name, "server") {
					t.Errorf("%s: nginx may keep a verdict for one server for another", uri)
				}
			}
			for _, uri := range strings.Fields(c.not) {
				if res := g.at(uri, c.token); verdict(res) != c.want {
					t.Errorf("%s: %s, want %s", uri, verdict(res), c.want)
				}
			}
		})
	}
}

// Challenge and metadata name what was asked for, with its own scope; /message
// is the other half of /sse, whose address the client was given.
func TestChallengesNameTheResource(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.ServerScope = "mcp.access.{server}" }).ready()
	const wellKnown = "/.well-known/oauth-protected-resource"
	for uri, want := range map[string]struct{ resource, scope string }{
		"/mcp": {"/mcp", "mcp.access"}, "/message?sessionId=x": {"/sse", "mcp.access"}, "/other": {"", "mcp.access"},
		"/servers/one/mcp": {"/servers/one/mcp", "mcp.access.one"}, "/servers/one/message": {"/servers/one/sse", "mcp.access.one"},
	} {
		challenge := g.at(uri, "none").Header.Get("WWW-Authenticate")
		wanted := `resource_metadata="` + issuertest.Public + wellKnown + want.resource + `", scope="` + want.scope + `"`
		if !strings.HasSuffix(challenge, wanted) {
			t.Errorf("%s: %s, want %s", uri, challenge, wanted)
		}
		res := g.do(g.public, http.MethodGet, wellKnown+want.resource, "")
		var document struct {
			Resource string
			Scopes   []string `json:"scopes_supported"`
		}
		if err := json.NewDecoder(res.Body).Decode(&document); err != nil {
			t.Fatal(err)
		}
		if document.Resource != issuertest.Public+want.resource || strings.Join(document.Scopes, " ") != want.scope {
			t.Errorf("%s: metadata %+v, want %+v", uri, document, want)
		}
	}
}
