package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
)

// home is what a person's page says.
func (g *gate) home(path, cookie string, header ...string) (*http.Response, string) {
	g.t.Helper()
	res := g.do(g.public, http.MethodGet, path, "", append(header, "Cookie", cookie)...)
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

func says(t *testing.T, what, page string, yes, no []string) {
	t.Helper()
	for _, text := range yes {
		if !strings.Contains(page, text) {
			t.Errorf("%s: the page lacks %q", what, text)
		}
	}
	for _, text := range no {
		if strings.Contains(page, text) {
			t.Errorf("%s: the page says %q", what, text)
		}
	}
}

// TestThePageNamesTheServersOfThePerson: the bridge is asked in the person's
// name, and the lines are for the server that is chosen.
func TestThePageNamesTheServersOfThePerson(t *testing.T) {
	issuer := issuertest.Start(t)
	var asked string
	answer := `{"servers": [{"name": "files", "path": "/servers/files/mcp", "tools": ["read", "<i>write"]},
		{"name": "slack", "path": "/servers/slack/mcp", "tools": []}]}`
	bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.Header.Get(contract.HeaderAssertion)
		_, _ = io.WriteString(w, answer)
	}))
	defer bridge.Close()
	g := start(t, issuer, "memory", func(c *config) { c.ServersURL = bridge.URL + contract.PathServers }).ready()
	cookie := g.login(issuer)
	res, page := g.home("/", cookie)
	says(t, "two servers", page, []string{
		issuertest.Public + "/servers/files/mcp", issuertest.Public + "/servers/slack/mcp", "&lt;i&gt;write", "Tools: 2",
		"claude mcp add --transport http files " + issuertest.Public + "/servers/files/mcp", "?server=slack#programs",
	}, []string{issuertest.Public + "/mcp<", "ca.crt"})
	path, assertion, _ := strings.Cut(asked, " ")
	id := g.identity(&http.Response{Header: http.Header{contract.HeaderAssertion: {assertion}}})
	if res.StatusCode != http.StatusOK || path != contract.PathServers ||
		id.Subject != issuertest.Subject || !id.HasRole("mcp-user") {
		t.Errorf("the bridge was asked at %s for %+v", path, id)
	}
	_, page = g.home("/?server=slack", cookie)
	says(t, "the other", page, []string{"claude mcp add --transport http slack " + issuertest.Public + "/servers/slack/mcp"}, nil)
	answer = `{"servers": [{"path": "/mcp"}, ` + strings.TrimPrefix(answer, `{"servers": [`)
	_, page = g.home("/", cookie)
	says(t, "the door", page, []string{
		"All of these in one", "claude mcp add --transport http gatehouse " + issuertest.Public + "/mcp", "?server=files#programs",
	}, nil)
	answer = `{"servers": []}`
	_, page = g.home("/", cookie)
	says(t, "none", page, []string{"No server is open to you"}, []string{"claude mcp add"})
	bridge.Close()
	_, page = g.home("/", cookie)
	says(t, "away", page, []string{"cannot be read right now", "--transport http gatehouse " + issuertest.Public + "/mcp"}, nil)
}

// TestThePageOfAPerson: who they are, the languages, what is folded, and what
// a form did.
func TestThePageOfAPerson(t *testing.T) {
	issuer := issuertest.Start(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("PEM of the authority"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, issuer, "memory", func(c *config) { c.LocalCA = ca }).ready()
	issuer.Hand(issuer.Access().With(realmRoles("mcp-user", "offline_access", "default-roles-gatehouse")))
	cookie := g.login(issuer)
	_, page := g.home("/", cookie)
	folded := page[strings.Index(page, "<details><summary>Id and built-in roles"):]
	says(t, "folded", folded[:strings.Index(folded, "</details>")],
		[]string{issuertest.Subject, "<li>offline_access</li>", "<li>default-roles-gatehouse</li>"}, []string{"<li>mcp-user</li>"})
	says(t, "whole", page, []string{"<li>mcp-user</li>", "ca.crt", "NODE_EXTRA_CA_CERTS", "setx", "(just now)"},
		[]string{"cannot use the servers"})
	if res, body := g.home("/account/ca.crt", ""); res.StatusCode != http.StatusOK || body != "PEM of the authority" {
		t.Errorf("the authority: %s %q", res.Status, body)
	}
	res, page := g.home("/", cookie, "Accept-Language", "ko-KR,ko;q=0.9,en;q=0.8")
	says(t, "Korean", page, []string{`<html lang="ko">`, "내 계정", "열린 세션"}, []string{"Your account", "Your open sessions"})
	if res.Header.Get("Content-Language") != "ko" {
		t.Errorf("Content-Language %q", res.Header.Get("Content-Language"))
	}
	for site, want := range map[string]bool{"same-origin": true, "": true, "cross-site": false} {
		_, page = g.home("/account?done=session", cookie, "Sec-Fetch-Site", site)
		if strings.Contains(page, "Done: the session has ended") != want {
			t.Errorf("done, from %q: said %v", site, !want)
		}
	}
	if _, page = g.home("/account?done=nonsense", cookie); strings.Contains(page, `role="status"`) {
		t.Error("the page says of anything that it is done")
	}
}

// Who lacks the role sees which, whom to ask, and the request's id.
func TestThePageSaysWhatIsMissing(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", needsRole).ready()
	issuer.Hand(issuer.Access().With(realmRoles("other")))
	cookie := g.login(issuer)
	_, page := g.home("/", cookie, "X-Request-Id", "request-7")
	says(t, "missing", page, []string{"lacks the role mcp-user", "Ask ops@example.com", "<code>request-7</code>"},
		[]string{"claude mcp add"})
}

// TestAdministratorSearches, by a part of the address, and ends all that a
// person has.
func TestAdministratorSearches(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.AdminRole = "mcp-user" }).ready()
	admin := g.login(issuer)
	found := []string{"<h3>alice@example.com</h3>", "People: 1."}
	says(t, "everybody", g.account(admin, ""), found, nil)
	says(t, "one", g.account(admin, "?q=ALICE@"), append(found, `value="ALICE@"`), nil)
	page := g.account(admin, `?q=bob"><script>alert(1)`)
	says(t, "nobody", page, []string{"People: 0."}, []string{"<script>alert", found[0]})
	res := g.do(g.public, http.MethodPost, "/account/everyone/person", "sub="+issuertest.Subject, "Cookie", admin,
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if to := res.Header.Get("Location"); to != "/account?done=person#everyone" {
		t.Errorf("ending all of a person leads to %q", to)
	}
	g.wantVerdict("401", "Cookie", admin)
}

// The provider speaks the language that was chosen here; else it asks the
// browser itself.
func TestTheProviderSpeaksTheChosenLanguage(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	for cookie, want := range map[string]string{"gatehouse_lang=ko": "ko", "gatehouse_lang=xx": "", "a=b": ""} {
		to, err := url.Parse(g.do(g.public, http.MethodGet, "/login", "", "Cookie", cookie).Header.Get("Location"))
		if err != nil || to.Query().Get("ui_locales") != want || to.Query().Get("state") == "" {
			t.Errorf("with %s the provider is asked %s, %v", cookie, to, err)
		}
	}
}
