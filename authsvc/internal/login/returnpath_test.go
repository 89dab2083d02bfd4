package login_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/login"
)

func TestReturnPath(t *testing.T) {
	for query, want := range map[string]string{
		"": "/account", "return_to=": "/account", "other=/x": "/account", "return_to=/mcp": "/mcp",
		"return_to=/a?x=1&y=2": "/a?x=1&y=2", "return_to=%2Fa%3Fx%3D1%26y%3D2": "/a?x=1&y=2",
	} {
		if got, err := login.ReturnPath("", query); err != nil || got != want {
			t.Errorf("%q = %q, %v; want %q", query, got, err, want)
		}
	}
	for _, evil := range []string{
		"//evil.example", `/\evil.example`, "https://evil.example", "javascript:alert(1)", "evil", "%2F%2Fevil.example", "%2f%5cevil.example",
		"/%5cevil.example", "/a\r\nSet-Cookie: x=y", "/%0d%0aX: y", "/\tx", "%2F%0Ax", "/" + strings.Repeat("a", 4096),
	} {
		if got, err := login.ReturnPath("", "return_to="+evil); err == nil {
			t.Errorf("%q was accepted as %q", evil, got)
		}
	}
}

// Below a path the way back is below it too.
func TestReturnPathStaysAtItsGate(t *testing.T) {
	for query, want := range map[string]string{
		"": "/team-a/account", "return_to=/team-a/mcp?x=1": "/team-a/mcp?x=1", "return_to=%2Fteam-a": "/team-a",
		"return_to=/team-a/": "/team-a/",
	} {
		if got, err := login.ReturnPath("/team-a", query); err != nil || got != want {
			t.Errorf("%q = %q, %v; want %q", query, got, err, want)
		}
	}
	for _, other := range []string{
		"/", "/account", "/team-b/mcp", "/team-ab", "/team-a/../account", "/team-a/%2e%2e/account", "/team-a/..%2faccount",
	} {
		if got, err := login.ReturnPath("/team-a", "return_to="+other); err == nil {
			t.Errorf("%q was accepted as %q", other, got)
		}
	}
}

func FuzzReturnPath(f *testing.F) {
	for _, seed := range []string{"return_to=/mcp", "return_to=//evil", `return_to=/\evil`, "return_to=%2F%2Fevil", "return_to=/a?b#c", "return_to=/%2f/x"} {
		f.Add(seed)
	}
	base, _ := url.Parse("https://gate.example.com/login")
	f.Fuzz(func(t *testing.T, query string) {
		got, err := login.ReturnPath("", query)
		if err != nil {
			return
		}
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q", query, got)
		}
	})
}
