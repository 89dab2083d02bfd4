package resource_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/resource"
)

// FuzzForwarded: what nginx forwards of the request's own line reaches a
// header of the answer, so nothing but a known path may pass.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"/mcp", "/servers/one/mcp", `/servers/"/mcp`, "/mcp\r\nX: y", "//evil/mcp", "/servers/../mcp", "http://evil/mcp"} {
		f.Add(seed)
	}
	rules := resource.Rules{PublicURL: "https://gate.example.com", Scopes: []string{"mcp.access"}}
	f.Fuzz(func(t *testing.T, uri string) {
		if path := rules.Of(uri).Path; strings.ContainsAny(path, "\"\\\r\n ,") || strings.Contains(path, "..") {
			t.Errorf("%q gave %q", uri, path)
		}
		if c := rules.Challenge("Bearer", "invalid_token", rules.Of(uri)); strings.Count(c, `"`) != 6 {
			t.Errorf("%q broke the challenge: %s", uri, c)
		}
	})
}

func TestOf(t *testing.T) {
	rules := resource.Rules{PublicURL: "https://gate.example.com"}
	for uri, want := range map[string]resource.Resource{
		"/mcp": {Path: "/mcp"}, "/sse?x=1": {Path: "/sse"}, "/message?sessionId=a": {Path: "/sse"},
		"/servers/one/mcp": {"one", "/servers/one/mcp"}, "/servers/one/message": {"one", "/servers/one/sse"},
		"/": {}, "/servers/one": {}, "/servers/../mcp": {}, "/servers/one/../two/mcp": {}, "/servers/one/mcp/": {},
		"/servers/one%2fmcp": {}, "/%6dcp": {}, "": {}, "/servers//mcp": {},
	} {
		if got := rules.Of(uri); got != want {
			t.Errorf("%q is %+v, want %+v", uri, got, want)
		}
	}
}

// Gates below paths of one host are told apart by the path: what was made for
// one is nothing at another, nor at the host's own gate.
func TestBelowAPath(t *testing.T) {
	const host, public = "https://gate.example.com", "https://gate.example.com/team-a"
	rules := resource.Rules{PublicURL: public}
	for uri, want := range map[string]resource.Resource{
		"/team-a/mcp?x=1": {Path: "/mcp"}, "/team-a/servers/one/message": {"one", "/servers/one/sse"},
		"/mcp": {}, "/team-b/mcp": {}, "/team-amcp": {}, "/team-a-b/mcp": {}, "/team-a": {}, "/team-a/team-a/mcp": {},
		"/x/../team-a/mcp": {}, "/team%2da/mcp": {}, "/servers/one/mcp": {},
	} {
		if got := rules.Of(uri); got != want {
			t.Errorf("%q is %+v, want %+v", uri, got, want)
		}
	}
	for aud, want := range map[string]bool{
		public: true, public + "/": true, public + "/mcp": true, public + "/message": true,
		host: false, host + "/mcp": false, host + "/team-b/mcp": false, public + "-b/mcp": false, public + "mcp": false,
	} {
		if got := rules.Reach([]string{aud}).Gate; got != want {
			t.Errorf("a token for %s opens team-a's gate: %v, want %v", aud, got, want)
		}
		if root := (resource.Rules{PublicURL: host}); want && root.Reach([]string{aud}).Any() {
			t.Errorf("a token for %s opens the host's own gate", aud)
		}
	}
	if got, want := rules.Challenge("Bearer", "", rules.Of("/team-a/mcp")),
		`Bearer resource_metadata="`+host+`/.well-known/oauth-protected-resource/team-a/mcp"`; got != want {
		t.Errorf("the challenge is %s, want %s", got, want)
	}
	for path, want := range map[string]bool{"": true, "/team-a/mcp": true, "/team-b/mcp": false, "/team-a/x": false} {
		if _, ok := rules.Announced(cmp.Or(path, "/team-a")); ok != want {
			t.Errorf("metadata under %q: %v, want %v", path, ok, want)
		}
	}
	if got, want := rules.URL("/team-a/mcp"), public+"/mcp"; got != want {
		t.Errorf("the address of a request is %s, want %s", got, want)
	}
}

func TestReach(t *testing.T) {
	const public = "https://gate.example.com"
	rules := resource.Rules{PublicURL: public, Audience: "api://custom"}
	for _, c := range []struct {
		aud     []string
		gate    bool
		servers []string
	}{
		{[]string{public + "/mcp"}, true, nil},
		{[]string{public}, true, nil},
		{[]string{public + "/"}, true, nil},
		{[]string{public + "/sse", "account"}, true, nil},
		{[]string{public + "/message"}, true, nil},
		{[]string{"api://custom"}, true, nil},
		{[]string{public + "/servers/one/mcp", public + "/servers/two/sse", public + "/servers/one/message"}, false, []string{"one", "two"}},
		{[]string{public + "/servers/one/mcp", public + "/mcp"}, true, []string{"one"}},
		{[]string{"https://gate.example.com.evil/mcp", public + ".evil", public + "/other", "/mcp", "", "account"}, false, nil},
	} {
		got := rules.Reach(c.aud)
		if got.Gate != c.gate || !slices.Equal(got.Servers, c.servers) || got.Any() != (c.gate || c.servers != nil) {
			t.Errorf("%q reaches %+v", c.aud, got)
		}
	}
	one := rules.Reach([]string{public + "/servers/one/mcp"})
	for uri, want := range map[string]bool{
		"/servers/one/mcp": true, "/servers/one/message": true, "/servers/two/mcp": false, "/mcp": false, "/": false,
		"/servers/one/../two/mcp": false, "/servers/one/%6dcp": false,
	} {
		if got := one.Opens(rules.Of(uri)); got != want {
			t.Errorf("a token for one opens %s: %v, want %v", uri, got, want)
		}
	}
}
