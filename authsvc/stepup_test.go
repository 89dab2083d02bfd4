package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
)

// An administrator sees and ends the sessions of others only after a sign-in of
// the kind that --admin-acr names; before it a form leads there.
func TestAdministratorStepsUp(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.AdminRole, c.AdminACR = "helper", "mfa" }).ready()
	plain := g.login(issuer)
	page := g.account(plain, "")
	if strings.Contains(page, "All live sessions") || !strings.Contains(page, `href="/account/step-up"`) {
		t.Error("a plain sign-in sees all sessions, or no way to step up")
	}
	res := g.send(plain, "/account/everyone/person", url.Values{"sub": {"somebody"}})
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/account/step-up" {
		t.Errorf("a form of a plain sign-in answered %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	begun := g.do(g.public, http.MethodGet, "/account/step-up", "", "Cookie", plain)
	to, err := url.Parse(begun.Header.Get("Location"))
	if err != nil || to.Query().Get("acr_values") != "mfa" {
		t.Fatalf("the provider is asked for %v, %v", to, err)
	}
	issuer.Expect(to.Query().Get("nonce"))
	issuer.StepUp("mfa")
	back := g.do(
		g.public,
		http.MethodGet,
		answer(issuer, to.Query().Get("state")),
		"",
		"Cookie",
		loginCookie(begun)+"; "+plain,
	)
	stepped := cookieOf(back, "__Host-gatehouse")
	if page := g.account(stepped, ""); !strings.Contains(page, "All live sessions") {
		t.Error("who has stepped up does not see all sessions")
	}
	res = g.send(stepped, "/account/everyone/person", url.Values{"sub": {"somebody"}})
	if to := res.Header.Get("Location"); to != "/account?done=person#everyone" {
		t.Errorf("ending a person leads to %q", to)
	}
}
