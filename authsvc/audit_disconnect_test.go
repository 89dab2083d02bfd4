package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
)

// send posts one of the account page's own forms.
func (g *gate) send(cookie, path string, form url.Values) *http.Response {
	g.t.Helper()
	return g.do(
		g.public,
		http.MethodPost,
		path,
		form.Encode(),
		"Cookie",
		cookie,
		"Content-Type",
		"application/x-www-form-urlencoded",
		"Sec-Fetch-Site",
		"same-origin",
	)
}

// A client that signed in with a token stands on its user's page and can be
// disconnected there, and nothing beside it ends. What ended stands in one
// stream, with who ended it.
func TestDisconnectAClient(t *testing.T) {
	issuer := issuertest.Start(t)
	file := filepath.Join(t.TempDir(), "audit")
	g := start(t, issuer, "memory", func(c *config) { c.Audit = file }).ready()
	cookie := g.login(issuer)
	cli := bearer(issuer.Sign(issuer.Access().With(issuertest.Claims{"azp": "cli"})))
	editor := bearer(issuer.Sign(issuer.Access().With(issuertest.Claims{"azp": "editor"})))
	g.wantVerdict("200", cli...)
	g.wantVerdict("200", editor...)
	if page := g.account(cookie, ""); !strings.Contains(page, "<strong>cli</strong>") ||
		!strings.Contains(page, "<strong>editor</strong>") {
		t.Fatal("the page does not list the clients")
	}
	if res := g.send(cookie, "/account/clients/end", url.Values{"client": {"cli"}}); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.Status)
	}
	eventually(t, "the client's end", func() bool { return verdict(g.auth(cli...)) == "401" })
	g.wantVerdict("200", editor...)
	g.wantVerdict("200", "Cookie", cookie)
	if page := g.account(cookie, ""); strings.Contains(page, "<strong>cli</strong>") ||
		!strings.Contains(page, "<strong>editor</strong>") {
		t.Error("the page lists what was disconnected, or not the other")
	}
	if res := g.send(cookie, "/account/everywhere/end", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.Status)
	}
	g.wantVerdict("401", "Cookie", cookie)
	eventually(t, "the other client's end", func() bool { return verdict(g.auth(editor...)) == "401" })
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"event":"login"`, `"event":"ended","by":"` + issuertest.Subject + `"`, `"client":"cli"`, `"event":"refused"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the audit stream has no %s:\n%s", want, text)
		}
	}
}
