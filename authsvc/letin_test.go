package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
)

// logged is what a service writes, for whoever looks at it.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func needsRole(c *config) {
	c.RequireRole, c.AllowAnyUser, c.Contact = "mcp-user", false, "ops@example.com"
}

func realmRoles(roles ...string) fields {
	return fields{"realm_access": map[string]any{"roles": roles}}
}

// Nothing of an identity is cut or dropped: the role that lets in may be the
// last of many, and each may hold any character.
func TestNoRoleIsDropped(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", needsRole).ready()
	roles := []string{"Domain Users", "a,b", "관리자", strings.Repeat("long", 75)}
	for i := range 80 {
		roles = append(roles, fmt.Sprintf("aa-%d", i))
	}
	roles = append(roles, "mcp-user")
	res := g.wantVerdict("200", bearer(issuer.Sign(issuer.Access().With(realmRoles(roles...))))...)
	id := g.identity(res)
	header, err := contract.DecodeRoles(res.Header.Get(contract.HeaderUserRoles))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(roles, "helper") {
		if !id.HasRole(want) || !(contract.Identity{Roles: header}).HasRole(want) {
			t.Errorf("%q is lost: the assertion has %q, the header %q", want, id.Roles, header)
		}
	}
}

// What does not fit is refused, and says so: to a client, to a person, in the log.
func TestRolesThatDoNotFit(t *testing.T) {
	issuer := issuertest.Start(t)
	var log logged
	g := startWith(t, zerolog.New(&log), issuer, "memory", needsRole).ready()
	roles := []string{"mcp-user"}
	for i := range 45 {
		roles = append(roles, fmt.Sprintf("%0200d", i))
	}
	many := issuer.Access().With(realmRoles(roles...))
	res := g.wantVerdict("403", bearer(issuer.Sign(many))...)
	challenge := res.Header.Get("WWW-Authenticate")
	if !strings.Contains(challenge, `error="unusable_identity"`) || !strings.Contains(challenge, "--roles") ||
		!strings.Contains(challenge, "Ask ops@example.com.") {
		t.Errorf("challenge %q", challenge)
	}
	if !strings.Contains(log.String(), `"why":"identity"`) {
		t.Errorf("no line tells of it: %s", log.String())
	}
	issuer.Hand(many) // to who signs in
	browser, q := g.begin("/mcp")
	issuer.Expect(q.Get("nonce"))
	page := g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", browser)
	if body, _ := io.ReadAll(page.Body); page.StatusCode != http.StatusForbidden ||
		!strings.Contains(string(body), "--roles") ||
		!strings.Contains(string(body), "ops@example.com") {
		t.Errorf("signing in answered %d: %s", page.StatusCode, body)
	}
	chosen := start(
		t,
		issuer,
		"memory",
		needsRole,
		func(c *config) { c.Identity.Roles = []string{"mcp-*", "help*"} },
	).ready()
	id := chosen.identity(chosen.wantVerdict("200", bearer(issuer.Sign(many))...))
	if len(id.Roles) != 2 {
		t.Errorf("roles %q, want those that --roles names", id.Roles)
	}
}

// A missing role is no missing scope, or a client would ask for scopes for nothing.
func TestMissingRole(t *testing.T) {
	issuer := issuertest.Start(t)
	var log logged
	g := startWith(t, zerolog.New(&log), issuer, "memory", needsRole).ready()
	none := issuer.Access().With(realmRoles("other"))
	challenge := g.wantVerdict("403", bearer(issuer.Sign(none))...).Header.Get("WWW-Authenticate")
	if challenge != `Bearer error="insufficient_role", error_description="The role mcp-user is missing. Ask ops@example.com."` {
		t.Errorf("challenge %q", challenge)
	}
	if line := log.String(); !strings.Contains(line, `"why":"role"`) ||
		!strings.Contains(line, `"user":"`+issuertest.Subject) {
		t.Errorf("the log has %s", line)
	}
	issuer.Hand(none)
	cookie := g.login(issuer)
	g.wantVerdict("403", "Cookie", cookie)
	page := g.do(g.public, http.MethodGet, "/account/denied", "", "Cookie", cookie)
	if body, _ := io.ReadAll(page.Body); page.StatusCode != http.StatusForbidden ||
		!strings.Contains(string(body), "lacks the role mcp-user. Ask ops@example.com for it") {
		t.Errorf("the page answered %d: %s", page.StatusCode, body)
	}
	if page := g.do(g.public, http.MethodGet, "/account/denied", ""); page.Header.Get("Location") != "/login" {
		t.Errorf("without a cookie it leads to %q", page.Header.Get("Location"))
	}
	issuer.Hand(nil)
	if page := g.do(g.public, http.MethodGet, "/account/denied", "", "Cookie", g.login(issuer)); page.Header.Get(
		"Location",
	) != "/account" {
		t.Errorf("who may come in is led to %q", page.Header.Get("Location"))
	}
}

// Each refusal of a token is one line, with the reason.
func TestRefusalsAreLogged(t *testing.T) {
	issuer := issuertest.Start(t)
	var log logged
	g := startWith(t, zerolog.New(&log), issuer, "memory").ready()
	for reason, token := range map[string]string{
		"expired":                 issuer.Sign(issuer.Access().With(fields{"exp": time.Now().Unix() - 60})),
		"another issuer":          issuer.Sign(issuer.Access().With(fields{"iss": "https://other.example"})),
		"is not this gate":        issuer.Sign(issuer.Access().With(fields{"aud": "https://other.example"})),
		"not a JWT signed with":   "garbage",
		"another resource of thi": issuer.Sign(issuer.Access().With(fields{"aud": issuertest.Public + "/servers/one/mcp"})),
	} {
		g.wantVerdict("401", bearer(token)...)
		if !strings.Contains(log.String(), reason) || strings.Contains(log.String(), token) {
			t.Errorf("%s: the log has %s", reason, log.String())
		}
	}
}

// An address that nobody has verified is nobody's.
func TestUnverifiedEmail(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	believing := start(t, issuer, "memory", func(c *config) { c.Identity.EmailUnverified = true }).ready()
	other := start(t, issuer, "memory", func(c *config) {
		c.Identity.EmailClaim, c.Identity.NameClaim = []string{"upn"}, []string{"preferred_username"}
	}).ready()
	for _, c := range []struct {
		verified        any
		email, trusting string
	}{
		{true, "alice@example.com", "alice@example.com"}, {"true", "alice@example.com", "alice@example.com"},
		{false, "", "alice@example.com"}, {nil, "", "alice@example.com"}, {"false", "", "alice@example.com"},
	} {
		token := issuer.Sign(
			issuer.Access().With(fields{"email_verified": c.verified, "upn": "a@corp", "preferred_username": "alice"}),
		)
		res := g.wantVerdict("200", bearer(token)...)
		if got := res.Header.Get(contract.HeaderUserEmail); got != c.email || g.identity(res).Email != c.email {
			t.Errorf("email_verified %v: X-User-Email %q, the assertion has %q", c.verified, got, g.identity(res).Email)
		}
		if got := believing.identity(believing.wantVerdict("200", bearer(token)...)).Email; got != c.trusting {
			t.Errorf("--email-unverified, email_verified %v: %q", c.verified, got)
		}
		if id := other.identity(other.wantVerdict("200", bearer(token)...)); c.verified == true &&
			(id.Email != "a@corp" || id.Name != "alice") {
			t.Errorf("--email-claim, --name-claim: %+v", id)
		}
	}
	issuer.Hand(issuer.Access().With(fields{"email_verified": nil}))
	if got := g.identity(g.wantVerdict("200", "Cookie", g.login(issuer))).Email; got != "" {
		t.Errorf("who signed in has the address %q", got)
	}
}

// Roles of a session are never older than --session-refresh, however long its
// token lives.
func TestRolesAreRenewed(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", needsRole, func(c *config) { c.SessionRefresh = time.Second }).ready()
	cookie := g.login(issuer)
	g.wantVerdict("200", "Cookie", cookie)
	issuer.Hand(issuer.Access().With(realmRoles("other")))
	took := eventually(t, "the role is gone", func() bool { return verdict(g.auth("Cookie", cookie)) == "403" })
	t.Logf("a role taken away was gone after %s, with tokens of %d s", took, issuer.TokenLife.Load())
}

// Who gets more roles than fit while signed in is signed out, and told why at
// the next sign-in, rather than kept waiting as if the provider were away.
func TestRolesOutgrowASession(t *testing.T) {
	issuer := issuertest.Start(t)
	var log logged
	g := startWith(t, zerolog.New(&log), issuer, "memory", func(c *config) { c.SessionRefresh = time.Second }).ready()
	cookie := g.login(issuer)
	g.wantVerdict("200", "Cookie", cookie)
	var roles []string
	for i := range 45 {
		roles = append(roles, fmt.Sprintf("%0200d", i))
	}
	issuer.Hand(issuer.Access().With(realmRoles(roles...)))
	eventually(t, "the session is over", func() bool { return verdict(g.auth("Cookie", cookie)) == "401" })
	if !strings.Contains(log.String(), "choose with --roles") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}
