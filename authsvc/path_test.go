package main

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
)

const teamPath = "/team-a"

// startBelow runs a gate below a path. The edge takes the path away before it
// asks for a page, but for the metadata, and never from X-Original-URI.
func startBelow(t *testing.T, issuer *issuertest.Issuer, change ...func(*config)) *gate {
	t.Helper()
	below := func(c *config) { c.PublicURL = issuertest.Public + teamPath }
	return start(t, issuer, "memory", append([]func(*config){below}, change...)...).ready()
}

func (g *gate) signInBelow(issuer *issuertest.Issuer) (cookie string, res *http.Response) {
	g.t.Helper()
	res = g.do(g.public, http.MethodGet, "/login?return_to="+teamPath+"/mcp?x=1", "")
	to, _ := url.Parse(res.Header.Get("Location"))
	flow := ""
	for _, c := range res.Cookies() {
		if strings.HasPrefix(c.Name, "__Host-gatehouse.team-a-login-") && c.Path == "/" && c.Secure && c.Domain == "" {
			flow = c.Name + "=" + c.Value
		}
	}
	if back := to.Query().Get("redirect_uri"); back != issuertest.Public+teamPath+"/callback" || flow == "" {
		g.t.Fatalf("the login's way back is %q, its cookie %q", back, flow)
	}
	issuer.Expect(to.Query().Get("nonce"))
	res = g.do(g.public, http.MethodGet, answer(issuer, to.Query().Get("state")), "", "Cookie", flow)
	return cookieOf(res, "__Host-gatehouse.team-a"), res
}

// Below a path a person signs in, sees the account and signs out without
// leaving the path, under a cookie that no other gate of the host has.
func TestASignInBelowAPathStaysBelowIt(t *testing.T) {
	issuer := issuertest.Start(t)
	g := startBelow(t, issuer, func(c *config) { c.AdminRole = "mcp-user" }) // so that the page has all its parts
	cookie, res := g.signInBelow(issuer)
	if cookie == "" || cookieOf(res, session.CookieName) != "" || res.Header.Get("Location") != teamPath+"/mcp?x=1" {
		t.Fatalf("signed in with %q, on to %q", res.Cookies(), res.Header.Get("Location"))
	}
	g.wantVerdict("200", "Cookie", cookie)
	_, value, _ := strings.Cut(cookie, "=")
	g.wantVerdict("401", "Cookie", session.CookieName+"="+value)
	// That of another gate beside it says nothing.
	g.wantVerdict("200", "Cookie", cookie+"; "+session.CookieName+"="+session.NewSecret().Encode())

	links := regexp.MustCompile(`(?:href|action)="([^"]*)"`)
	for path, sent := range map[string][]string{
		"/account": {"Cookie", cookie}, "/logout": {}, "/login?return_to=/other/": {}, "/callback": {},
	} {
		res := g.do(g.public, http.MethodGet, path, "", sent...)
		page, _ := io.ReadAll(res.Body)
		found := links.FindAllStringSubmatch(string(page), -1)
		if len(found) < 3 {
			t.Errorf("%s: %d with %d links", path, res.StatusCode, len(found))
		}
		for _, link := range found {
			if !strings.HasPrefix(link[1], teamPath+"/") && !strings.HasPrefix(link[1], "?") {
				t.Errorf("%s links to %s", path, link[1])
			}
		}
		if path == "/account" && !strings.Contains(string(page), issuertest.Public+teamPath+"/mcp") {
			t.Error("the account page does not name the gate's address")
		}
	}
	for path, want := range map[string]string{"/account": "/team-a/login", "/account/denied": "/team-a/login"} {
		if to := g.do(g.public, http.MethodGet, path, "").Header.Get("Location"); to != want {
			t.Errorf("%s without a session leads to %q, want %q", path, to, want)
		}
	}

	form := []string{"Cookie", cookie, "Origin", issuertest.Public, "Content-Type", "application/x-www-form-urlencoded"}
	res = g.do(g.public, http.MethodPost, "/account/sessions/end", "sid=none", form...)
	if res.Header.Get("Location") != "/team-a/account?done=session#sessions" {
		t.Errorf("a form answered %d, on to %q", res.StatusCode, res.Header.Get("Location"))
	}
	res = g.do(g.public, http.MethodPost, "/logout", "", form...)
	u, _ := url.Parse(res.Header.Get("Location"))
	if back := u.Query().Get("post_logout_redirect_uri"); back != issuertest.Public+teamPath+"/logout" {
		t.Errorf("logout leads back to %q", back)
	}
	if gone := res.Cookies(); len(gone) != 1 || gone[0].Name != "__Host-gatehouse.team-a" || gone[0].MaxAge >= 0 {
		t.Errorf("logout takes away %v", gone)
	}
	g.wantVerdict("401", "Cookie", cookie)
}

// A token and the metadata are for one gate: the path is a part of its name.
func TestATokenIsForTheGateBelowItsPath(t *testing.T) {
	issuer := issuertest.Start(t)
	g := startBelow(t, issuer)
	ask := func(uri, aud string) *http.Response {
		token := issuer.Sign(issuer.Access().With(issuertest.Claims{"aud": aud}))
		return g.do(g.public, http.MethodGet, "/auth", "", "X-Original-Method", "POST", "X-Original-URI", uri,
			"Authorization", "Bearer "+token)
	}
	const team = issuertest.Public + teamPath
	for _, c := range []struct {
		uri, aud string
		want     int
	}{
		{"/team-a/mcp", team + "/mcp", 200}, {"/team-a/mcp", issuertest.Audience, 401},
		{"/team-a/mcp", issuertest.Public, 401},
		{"/team-a/mcp", issuertest.Public + "/team-b/mcp", 401},
		{"/team-a/servers/one/mcp", team + "/servers/one/mcp", 200}, {"/team-a/mcp", team + "/servers/one/mcp", 401},
		{"/servers/one/mcp", team + "/servers/one/mcp", 401},
	} {
		if res := ask(c.uri, c.aud); res.StatusCode != c.want {
			t.Errorf("%s with a token for %s: %d, want %d", c.uri, c.aud, res.StatusCode, c.want)
		}
	}
	wellKnown := issuertest.Public + "/.well-known/oauth-protected-resource/team-a/mcp"
	if got := ask("/team-a/mcp", "x").Header.Get("WWW-Authenticate"); !strings.Contains(got, `"`+wellKnown+`"`) {
		t.Errorf("the challenge is %s, want %s in it", got, wellKnown)
	}
	for path, want := range map[string]int{
		"/team-a/mcp": 200, "/team-a": 200, "/mcp": 404, "": 404, "/team-b/mcp": 404,
	} {
		res := g.do(g.public, http.MethodGet, "/.well-known/oauth-protected-resource"+path, "")
		body, _ := io.ReadAll(res.Body)
		named := strings.Contains(string(body), `"resource":"`+issuertest.Public+path+`"`)
		if res.StatusCode != want || named != (want == 200) {
			t.Errorf("metadata under %q: %d %s", path, res.StatusCode, body)
		}
	}
}

// A cookie's name is the gate's own to choose.
func TestTheCookieHasTheNameThatIsSaid(t *testing.T) {
	issuer := issuertest.Start(t)
	const name = "__Host-gatehouse-b"
	g := start(t, issuer, "memory", func(c *config) { c.CookieName = name }).ready()
	res := g.do(g.public, http.MethodGet, "/login", "")
	to, _ := url.Parse(res.Header.Get("Location"))
	issuer.Expect(to.Query().Get("nonce"))
	flow := res.Cookies()[0]
	res = g.do(g.public, http.MethodGet, answer(issuer, to.Query().Get("state")), "", "Cookie", flow.Name+"="+flow.Value)
	if cookie := cookieOf(res, name); cookie == "" || !strings.HasPrefix(flow.Name, name+"-login-") {
		t.Errorf("the cookies are %s and %v", flow.Name, res.Cookies())
	} else {
		g.wantVerdict("200", "Cookie", cookie)
	}
}
