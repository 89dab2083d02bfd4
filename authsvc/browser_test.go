package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/internal/contract"
)

func TestLoginGivesASession(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, redistest.Start(t).URL).ready()
	_, q := g.begin("/mcp")
	for name, want := range map[string]string{"code_challenge_method": "S256", "response_type": "code", "redirect_uri": issuertest.Public + "/callback"} {
		if q.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, q.Get(name), want)
		}
	}
	res := g.wantVerdict("200", "Cookie", g.login(issuer))
	id := g.identity(res)
	if id.Subject != issuertest.Subject || !id.HasRole("mcp-user") || !id.HasRole("helper") ||
		id.Email != "alice@example.com" {
		t.Errorf("identity = %+v", id)
	}
	if got := res.Header.Get(contract.HeaderUserRoles); got != "helper,mcp-user" {
		t.Errorf("roles header = %q", got)
	}
}

func TestCallbackRefusesForeignAnswers(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	other, _ := g.begin("/mcp")
	for name, change := range map[string]func(q url.Values, cookie *string){
		"another browser (login CSRF)": func(_ url.Values, c *string) { *c = other },
		"no login cookie":              func(_ url.Values, c *string) { *c = "a=b" },
		"unknown state":                func(q url.Values, _ *string) { q.Set("state", session.NewSecret().Encode()) },
		"another issuer (mix-up)":      func(q url.Values, _ *string) { q.Set("iss", "https://evil.example") },
		"no issuer":                    func(q url.Values, _ *string) { q.Del("iss") },
		"injected code":                func(q url.Values, _ *string) { q.Set("code", "stolen") },
		"error":                        func(q url.Values, _ *string) { q.Set("error", "access_denied") },
		"another nonce":                func(url.Values, *string) { issuer.Expect("other") },
	} {
		t.Run(name, func(t *testing.T) {
			cookie, sent := g.begin("/mcp")
			issuer.Expect(sent.Get("nonce"))
			q := url.Values{"code": {"good"}, "state": {sent.Get("state")}, "iss": {issuer.URL}}
			change(q, &cookie)
			res := g.do(g.public, http.MethodGet, "/callback?"+q.Encode(), "", "Cookie", cookie)
			if res.StatusCode/100 != 4 || cookieOf(res, session.CookieName) != "" {
				t.Errorf("answered %d with cookie %q", res.StatusCode, cookieOf(res, session.CookieName))
			}
		})
	}
}

func TestStateServesOnce(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	cookie, q := g.begin("/mcp")
	issuer.Expect(q.Get("nonce"))
	for i, want := range []int{http.StatusSeeOther, http.StatusBadRequest} {
		if res := g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", cookie); res.StatusCode != want {
			t.Errorf("use %d answered %d, want %d", i+1, res.StatusCode, want)
		}
	}
}

func TestLoginChangesTheSecret(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	first := g.login(issuer)
	browser, q := g.begin("/mcp")
	issuer.Expect(q.Get("nonce"))
	res := g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", browser+"; "+first)
	if second := cookieOf(res, session.CookieName); second == "" || second == first {
		t.Errorf("second secret = %q, first %q", second, first)
	}
	g.wantVerdict("401", "Cookie", first)
}

func TestCookies(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	good := g.login(issuer)
	name := session.CookieName + "="
	for what, cookie := range map[string]string{
		"none": "a=b", "empty": name, "garbage": name + "garbage", "unknown": name + session.NewSecret().Encode(),
		"planted second": good + "; " + name + session.NewSecret().Encode(), "longer": good + "A",
		"oversized": good + "; x=" + strings.Repeat("y", 20<<10),
	} {
		res := g.wantVerdict("401", "Cookie", cookie)
		if len(res.Cookies()) != 0 ||
			!strings.Contains(
				res.Header.Get("WWW-Authenticate"),
				`resource_metadata="`+issuertest.Public+`/.well-known/oauth-protected-resource/mcp"`,
			) {
			t.Errorf("%s: headers %v", what, res.Header)
		}
	}
	g.wantVerdict("401", "Cookie", good, "Authorization", "Bearer garbage")
	g.wantVerdict("200", "Cookie", good)
}

func TestLogout(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	cookie := g.login(issuer)
	id := g.identity(g.wantVerdict("200", "Cookie", cookie))
	for name, send := range map[string]func() *http.Response{
		"a link on another site": func() *http.Response {
			return g.do(g.public, http.MethodGet, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
		},
		"a form on another site": func() *http.Response {
			return g.do(g.public, http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
		},
	} {
		if res := send(); res.StatusCode == http.StatusSeeOther {
			t.Errorf("%s signed out", name)
		}
		g.wantVerdict("200", "Cookie", cookie)
	}
	res := g.do(g.public, http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	u, _ := url.Parse(res.Header.Get("Location"))
	if res.StatusCode != http.StatusSeeOther || u.Path != "/logout" || u.Query().Get("id_token_hint") == "" ||
		u.Query().Get("post_logout_redirect_uri") != issuertest.Public+"/logout" {
		t.Errorf("answered %d to %s", res.StatusCode, u)
	}
	g.wantVerdict("401", "Cookie", cookie)
	g.wantEnded(id.SessionID)
}

func (g *gate) wantEnded(sid string) {
	g.t.Helper()
	res := g.do(g.internal, http.MethodPost, contract.PathSessionsEnded, `{"sids":["`+sid+`","open"]}`)
	m, err := contract.ReadEndedAnswer(res.Body)
	if err != nil || len(m.Ended) != 1 || m.Ended[0] != sid {
		g.t.Errorf("ended = %v, %v; want %s", m.Ended, err, sid)
	}
}

func TestAccountPage(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	here := g.login(issuer, "User-Agent", "<script>alert(1)</script>", contract.HeaderRealIP, "192.0.2.7")
	there := g.login(issuer)
	other := g.identity(g.wantVerdict("200", "Cookie", there)).SessionID
	res := g.do(g.public, http.MethodGet, "/account", "", "Cookie", here)
	body, _ := io.ReadAll(res.Body)
	for _, want := range []string{"Alice", "alice@example.com", "mcp-user", "192.0.2.7", other, issuertest.Audience} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(body), "<script>alert") || strings.Count(string(body), "<script") != 1 ||
		!strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page lets a script in")
	}
	res = g.do(
		g.public,
		http.MethodPost,
		"/account/sessions/end",
		"sid="+other,
		"Cookie",
		here,
		"Content-Type",
		"application/x-www-form-urlencoded",
		"Sec-Fetch-Site",
		"cross-site",
	)
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site answered %d", res.StatusCode)
	}
	g.do(
		g.public,
		http.MethodPost,
		"/account/sessions/end",
		"sid="+other,
		"Cookie",
		here,
		"Content-Type",
		"application/x-www-form-urlencoded",
		"Sec-Fetch-Site",
		"same-origin",
	)
	g.wantVerdict("401", "Cookie", there)
	g.wantVerdict("200", "Cookie", here)
}

func TestSessionLimitEndsTheOldest(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.SessionsPerUser = 2 }).ready()
	first, second, third := g.login(issuer), g.login(issuer), g.login(issuer)
	g.wantVerdict("401", "Cookie", first)
	g.wantVerdict("200", "Cookie", second)
	g.wantVerdict("200", "Cookie", third)
}

func TestAbsoluteAge(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.SessionAge, c.SessionIdle = time.Minute, time.Minute }).ready()
	id := g.identity(g.wantVerdict("200", "Cookie", g.login(issuer)))
	if left := time.Until(id.Expires); left > time.Minute || left < 50*time.Second {
		t.Errorf("the session ends in %s, want its absolute age", left)
	}
}
