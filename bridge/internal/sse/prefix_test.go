package sse_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/sse"
	"gatehouse/internal/contract"
)

func TestPrefix(t *testing.T) {
	g := start(t, fronttest.Options{})
	for name, tc := range map[string]struct{ forwarded, want string }{
		"none":                  {"", "/tools/message"},
		"a path":                {"/outer/in-side_1.x~", "/outer/in-side_1.x~/tools/message"},
		"a slash at the end":    {"/outer/", "/outer/tools/message"},
		"the root":              {"/", "/tools/message"},
		"no path":               {"outer", "/tools/message"},
		"another origin":        {"//evil.example", "/tools/message"},
		"hidden by a tab":       {"/\t/evil.example", "/tools/message"}, // browsers drop tabs of a URL
		"a backslash":           {`/\evil.example`, "/tools/message"},
		"a whole URL":           {"https://evil.example/", "/tools/message"},
		"a query":               {"/a?b=", "/tools/message"},
		"a fragment":            {"/a#", "/tools/message"},
		"escapes":               {"/%2f/evil.example", "/tools/message"},
		"a user":                {"/@evil.example:80/", "/tools/message"},
		"markup":                {`/"><script>`, "/tools/message"},
		"letters beyond ASCII":  {"/\u2028/\u00e9", "/tools/message"},
		"a way out of its path": {"/a/../..", "/tools/message"},
	} {
		t.Run(name, func(t *testing.T) {
			s := g.Listen(t, http.MethodGet, "/sse", "", "X-Forwarded-Prefix", tc.forwarded)
			if got, _, _ := strings.Cut(s.Next().Data, "?"); got != tc.want {
				t.Errorf("the endpoint is %q, want %q", got, tc.want)
			}
		})
	}
}

// deaf is a Front whose handlers can be called without a server.
func deaf(f *testing.F) *sse.Front {
	f.Helper()
	server := fleet.NewServer(fleet.ServerConfig{Limits: fleet.DefaultLimits(), Log: zerolog.Nop()})
	table := session.NewTable("", session.DefaultLimits(), server)
	f.Cleanup(func() { _ = table.Close(context.Background()) })
	return &sse.Front{Table: table, Server: server}
}

// FuzzPrefix: whatever a proxy says, a browser that resolves the endpoint stays
// on the origin, and the stream keeps its framing.
func FuzzPrefix(f *testing.F) {
	front := deaf(f)
	for _, p := range []string{"/a", "//x", "/\t/x", "/\\x", "/a/../..//x", "//", "/a\nevent: x", "/a?b", "/a#b", "/%2e%2e", "/a:b@c", "https://x/"} {
		f.Add(p)
	}
	base := &url.URL{Scheme: "https", Host: "mcp.example.com", Path: "/sse"}
	f.Fuzz(func(t *testing.T, forwarded string) {
		r := httptest.NewRequest(http.MethodGet, "/sse", nil)
		r.Header.Set("X-Forwarded-Prefix", forwarded)
		got := sse.Prefix(front, r)
		if strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c > '~' }) ||
			strings.ContainsAny(got, `\?#%"<>`) {
			t.Fatalf("%q makes %q", forwarded, got)
		}
		to, err := base.Parse(got + "/message?sessionId=x")
		if err != nil || to.Host != base.Host || to.User != nil || to.RawQuery != "sessionId=x" ||
			!strings.HasSuffix(to.Path, "/message") {
			t.Fatalf("%q leads to %v (%v)", forwarded, to, err)
		}
	})
}

// FuzzSessionID: an id that the bridge did not give opens nothing.
func FuzzSessionID(f *testing.F) {
	front := deaf(f)
	given, err := front.Table.Open(front.Server, contract.Identity{Subject: "local"}, "sse")
	if err != nil {
		f.Fatal(err)
	}
	id := given.ID.String()
	for _, q := range []string{"sessionId=" + id[:len(id)-1], "sessionId=." + id, "sessionId=%00", "sessionId=" + strings.ToUpper(id), "sessionId=" + given.ID.Label(), ";sessionId=a.b", "sessionId=" + strings.Repeat("a", 5000)} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if strings.Contains(query, given.ID.Secret) {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/message", strings.NewReader("{}"))
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		identity.Nobody(http.HandlerFunc(front.Message)).ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "no such session") {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	})
}
