package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/admin"
	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/keycloak"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/internal/contract"
)

func (g *gate) account(cookie, query string) string {
	g.t.Helper()
	res := g.do(g.public, http.MethodGet, "/account"+query, "", "Cookie", cookie)
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		g.t.Fatalf("account: %s %s", res.Status, body)
	}
	return string(body)
}

// endAny sends the form of the administrators' part.
func (g *gate) endAny(cookie, sub, sid, site string) int {
	g.t.Helper()
	form := url.Values{"sub": {sub}, "sid": {sid}}.Encode()
	return g.do(g.public, http.MethodPost, "/account/everyone/end", form,
		"Cookie", cookie, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", site).StatusCode
}

// TestAdministratorSeesAndEnds takes the role that the test's user has for
// that of administrators.
func TestAdministratorSeesAndEnds(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, redistest.Start(t).URL, func(c *config) { c.AdminRole = "helper" }).ready()
	admin := g.login(issuer)
	issuer.NewSession("another-at-keycloak")
	other := g.login(issuer, "User-Agent", "<b>other</b>")
	sid := g.identity(g.wantVerdict("200", "Cookie", other)).SessionID
	bob := issuer.Access().With(issuertest.Claims{"sub": "bob", "email": "bob@example.com", "sid": "bob-at-keycloak"})
	token := bearer(issuer.Sign(bob))
	g.wantVerdict("200", token...)
	g.wantVerdict("401", append(bearer("garbage"), contract.HeaderRealIP, "192.0.2.9", "X-Request-Id", "refused-1")...)
	g.do(g.internal, http.MethodPost, contract.PathSessionsEnded, `{"sids":["`+sid+`","bob-at-keycloak","unknown"]}`)

	page := g.account(admin, "")
	for _, want := range []string{"All live sessions", "stream open", sid, "bob@example.com", "bob-at-keycloak", "192.0.2.9", "refused-1", "&lt;b&gt;other"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "unknown\"") || strings.Contains(page, "garbage") ||
		strings.Count(page, "stream open") != 1 {
		t.Error("the page shows what it must not")
	}
	if code := g.endAny(admin, issuertest.Subject, sid, "cross-site"); code != http.StatusForbidden {
		t.Errorf("a form of another site answered %d", code)
	}
	g.wantVerdict("200", "Cookie", other)
	for _, end := range [][2]string{{issuertest.Subject, sid}, {"bob", "bob-at-keycloak"}} {
		if code := g.endAny(admin, end[0], end[1], "same-origin"); code != http.StatusSeeOther {
			t.Errorf("ending %v answered %d", end, code)
		}
	}
	g.wantVerdict("401", "Cookie", other)
	g.wantVerdict("401", token...)
	g.wantVerdict("200", "Cookie", admin)
	if code := g.endAny(admin, "", "", "same-origin"); code != http.StatusBadRequest {
		t.Errorf("a form without a session answered %d", code)
	}
}

// asking is a provider that people are looked for at.
type asking struct {
	ending.Provider
	err error
}

func (a asking) Find(context.Context, string) (string, error) { return "", a.err }

// Who asks to end somebody by name is told that there is nobody of the name only
// where that was the answer, and not where none came.
func TestNobodyIsAnAnswerOfTheProvider(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.AdminRole = "helper" }).ready()
	cookie := g.login(issuer)
	for name, one := range map[string]struct {
		at   ending.Provider
		code int
		says string
	}{
		"nobody": {asking{err: fmt.Errorf("%w: alice", keycloak.ErrNobody)}, http.StatusNotFound,
			"Nobody was found"},
		"nothing to ask":    {nil, http.StatusNotFound, "not found by name here"},
		"no answer in time": {asking{err: context.DeadlineExceeded}, http.StatusServiceUnavailable, "Nothing has ended"},
		"a role is missing": {asking{err: keycloak.ErrForbidden}, http.StatusServiceUnavailable, "Nothing has ended"},
		"an error of its own": {asking{err: errors.New("keycloak answered 500")}, http.StatusServiceUnavailable,
			"Nothing has ended"},
	} {
		g.svc.ender.Provider = one.at
		if res := g.do(g.internal, http.MethodPost, admin.PathRevoke, `{"user":"alice"}`); res.StatusCode != one.code {
			t.Errorf("%s: the revocation answered %d, want %d", name, res.StatusCode, one.code)
		}
		res := g.send(cookie, "/account/everyone/person", url.Values{"who": {"alice"}})
		if page, _ := io.ReadAll(res.Body); res.StatusCode != one.code || !strings.Contains(string(page), one.says) {
			t.Errorf("%s: the form answered %d, want %d and a page that says %q", name, res.StatusCode, one.code, one.says)
		}
	}
}

func TestOthersSeeOnlyTheirOwn(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.AdminRole = "mcp-admin" }).ready()
	cookie := g.login(issuer)
	sid := g.identity(g.wantVerdict("200", "Cookie", cookie)).SessionID
	if page := g.account(cookie, "?page=1"); strings.Contains(page, "All live sessions") ||
		strings.Contains(page, "refusals") {
		t.Error("somebody without the role sees all sessions")
	}
	if code := g.endAny(cookie, issuertest.Subject, sid, "same-origin"); code != http.StatusForbidden {
		t.Errorf("somebody without the role ended a session: %d", code)
	}
	if code := g.endAny("a=b", issuertest.Subject, sid, "same-origin"); code != http.StatusSeeOther {
		t.Errorf("somebody without a session: %d, want the way to sign in", code)
	}
	g.wantVerdict("200", "Cookie", cookie)
}

// TestMetricsTellWhatHappened, and no request can make a series.
func TestMetricsTellWhatHappened(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.TokenLife.Store(2)
	redis := redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie := g.login(issuer)
	g.wantVerdict("200", "Cookie", cookie)
	g.wantVerdict("200", "Cookie", cookie)
	before := g.series()
	for i := range 50 {
		g.do(g.public, http.MethodGet, fmt.Sprint("/x", i, "?y=", i), "", "X-Request-Id", fmt.Sprint("id", i))
		g.auth(append(bearer(fmt.Sprint("token", i)), "X-Real-IP", fmt.Sprint("192.0.2.", i), "User-Agent", fmt.Sprint(i))...)
		g.do(g.public, http.MethodGet, fmt.Sprint("/callback?state=", i), "")
	}
	if after := g.series(); after != before {
		t.Errorf("%d series became %d by what a client sent", before, after)
	}
	eventually(t, "a renewal", func() bool {
		g.auth("Cookie", cookie)
		n := g.metric(`authsvc_refreshes_total{result="ok"}`)
		return n != "" && n != "0"
	})
	g.do(g.public, http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	for _, name := range []string{
		`authsvc_logins_total{result="ok"}`, `authsvc_logins_total{result="refused"}`, `authsvc_endings_total`,
		`authsvc_verdict_cache_total{result="hit"}`, `authsvc_verdict_cache_total{result="miss"}`,
		`authsvc_store_duration_seconds_count{operation="get",result="ok"}`, `authsvc_verdicts_total{by="token",outcome="denied"}`,
	} {
		if n := g.metric(name); n == "0" || n == "" {
			t.Errorf("%s = %q", name, n)
		}
	}
}

func (g *gate) metrics() string {
	g.t.Helper()
	body, _ := io.ReadAll(g.do(g.internal, http.MethodGet, "/metrics", "").Body)
	return string(body)
}

// series counts authsvc's own.
func (g *gate) series() int { return strings.Count(g.metrics(), "\nauthsvc_") }

func (g *gate) metric(name string) string {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.*)$`).FindStringSubmatch(g.metrics())
	if m == nil {
		return ""
	}
	return m[1]
}
