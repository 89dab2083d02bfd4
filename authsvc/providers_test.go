package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
)

// vendor changes the flags as a page of docs/providers.md does.
func vendor(name string, more ...func(*config)) func(*config) {
	return func(c *config) {
		c.Identity.Provider, c.Audience = name, "api://gate"
		for _, change := range more {
			change(c)
		}
	}
}

// Each provider signs a person in, and is believed a token, as its own
// documentation says that it speaks.
func TestProviders(t *testing.T) {
	sign := func(i *issuertest.Issuer, typ string, c fields) string {
		return issuertest.SignWith(jose.ES256, i.Key(), typ, c)
	}
	for name, c := range map[string]struct {
		change func(*config)
		shape  issuertest.Shape
		roles  []string // of who signed in
		email  string
		token  func(*issuertest.Issuer) string // "" where none is ever this gate's
		user   string                          // of the token
		not    func(*issuertest.Issuer) string // an ID token, in place of an access token
	}{
		"entra": {
			change: vendor("entra", func(c *config) { c.Scopes = []string{"access_as_user"} }),
			shape: issuertest.Shape{
				Opaque: "of-graph", ID: fields{"typ": nil, "azp": nil, "oid": "oid-1", "roles": []string{"mcp-user"}, "groups": []string{"02bd-group"},
					"email": "abe@example.com", "sid": nil},
			},
			roles: []string{"02bd-group", "mcp-user"},
			token: func(i *issuertest.Issuer) string {
				return sign(i, "JWT", i.Access().With(fields{"typ": nil, "azp": "other-app", "azpacr": "0", "oid": "oid-1", "scope": nil, "scp": "access_as_user",
					"aud": "api://gate", "ver": "2.0", "realm_access": nil}))
			},
			user: "oid-1",
			not: func(i *issuertest.Issuer) string {
				return sign(i, "JWT", i.Access().With(fields{"typ": nil, "azp": nil, "scope": nil, "aud": "api://gate", "nonce": "n", "oid": "oid-1"}))
			},
		},
		"okta": {
			change: vendor("okta"),
			shape: issuertest.Shape{ID: fields{"typ": nil, "azp": nil, "sub": "00u1", "groups": []string{"MCP Users"}, "email": "a@example.com",
				"email_verified": true, "jti": "ID.x", "sid": nil}},
			roles: []string{"MCP Users"}, email: "a@example.com",
			token: func(i *issuertest.Issuer) string {
				return sign(i, "", i.Access().With(fields{"typ": nil, "azp": nil, "jti": "AT.x", "cid": "app", "uid": "00u1", "sub": "a@example.com",
					"scope": nil, "scp": []string{"openid", "mcp.access"}, "aud": "api://gate"}))
			},
			user: "00u1",
			not: func(i *issuertest.Issuer) string {
				return sign(i, "", i.Access().With(fields{"typ": nil, "jti": "ID.x", "aud": "api://gate"}))
			},
		},
		"auth0": {
			change: vendor("auth0", func(c *config) { c.Identity.RolesClaim = []string{"permissions", "https://gate.example.com/roles"} }),
			shape: issuertest.Shape{Opaque: "opaque", ID: fields{"typ": nil, "azp": nil, "https://gate.example.com/roles": []string{"mcp-user"},
				"email": "j@example.com", "email_verified": true}},
			roles: []string{"mcp-user"}, email: "j@example.com",
			token: func(i *issuertest.Issuer) string {
				return sign(i, "JWT", i.Access().With(fields{"typ": nil, "sub": "auth0|1", "permissions": []string{"mcp-user"},
					"aud": []string{"api://gate", i.URL + "/userinfo"}}))
			},
			user: "auth0|1",
			not: func(i *issuertest.Issuer) string {
				return sign(i, "JWT", i.Access().With(fields{"typ": nil, "azp": nil, "scope": nil, "aud": "api://gate"}))
			},
		},
		"google": {
			change: vendor("google"),
			shape: issuertest.Shape{Opaque: "ya29.x", Scope: "openid https://www.googleapis.com/auth/userinfo.email",
				ID: fields{"typ": nil, "hd": "example.com", "email": "j@example.com", "email_verified": "true", "sid": nil}},
			roles: []string{"example.com"}, email: "j@example.com",
			not: func(i *issuertest.Issuer) string { return "ya29.x" },
		},
		"oidc": {
			change: vendor("oidc", func(c *config) { c.Identity.LoginIdentity = "userinfo" }),
			shape: issuertest.Shape{Opaque: "opaque", ID: fields{"typ": nil}, Info: fields{"sub": issuertest.Subject, "groups": []string{"staff"},
				"email": "i@example.com", "email_verified": true}},
			roles: []string{"staff"}, email: "i@example.com",
			token: func(i *issuertest.Issuer) string {
				return sign(i, "at+jwt", i.Access().With(fields{"typ": nil, "client_id": "app", "aud": "api://gate"}))
			},
			user: issuertest.Subject,
			not: func(i *issuertest.Issuer) string {
				return sign(i, "JWT", i.Access().With(fields{"typ": nil, "aud": "api://gate"}))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := issuertest.Start(t)
			issuer.Speak(c.shape)
			g := start(t, issuer, "memory", c.change).ready()
			id := g.identity(g.wantVerdict("200", "Cookie", g.login(issuer)))
			if !slices.Equal(id.Roles, c.roles) || id.Email != c.email {
				t.Errorf("who signed in is %+v, want roles %q and e-mail %q", id, c.roles, c.email)
			}
			if c.token != nil {
				if id := g.identity(g.wantVerdict("200", bearer(c.token(issuer))...)); id.Subject != c.user {
					t.Errorf("the token is of %q, want %q", id.Subject, c.user)
				}
			}
			g.wantVerdict("401", bearer(c.not(issuer))...)
		})
	}
}

// What Entra leaves out of a token of many groups is asked for, page by page.
func TestGroupsOverage(t *testing.T) {
	issuer := issuertest.Start(t)
	over := fields{"typ": nil, "azp": nil, "oid": "oid-1", "_claim_names": fields{"groups": "src1"},
		"_claim_sources": fields{"src1": fields{"endpoint": "https://graph.windows.net/t/users/oid-1/getMemberObjects"}}}
	issuer.Speak(issuertest.Shape{Opaque: "x", ID: over, Groups: []string{"g1", "g2", "g3"}})
	asks := func(c *config) {
		c.Identity.GroupsURL, c.Identity.GroupsScope = issuer.URL+"/groups/{user}", "https://graph.microsoft.com/.default"
	}
	g := start(t, issuer, "memory", vendor("entra", asks)).ready()
	if id := g.identity(g.wantVerdict("200", "Cookie", g.login(issuer))); !slices.Equal(
		id.Roles,
		[]string{"g1", "g2", "g3"},
	) {
		t.Errorf("roles %q", id.Roles)
	}
	nobody := start(t, issuer, "memory", vendor("entra", func(c *config) { c.Identity.Provider = "oidc" })).ready()
	browser, q := nobody.begin("/mcp")
	issuer.Expect(q.Get("nonce"))
	if res := nobody.do(nobody.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", browser); res.StatusCode != http.StatusForbidden {
		t.Errorf("with nobody to ask, signing in answered %d: groups were dropped", res.StatusCode)
	}
}

// A further issuer's tokens count with its audience, and its subjects are no
// subjects of the provider.
func TestTrustedIssuer(t *testing.T) {
	home, away := issuertest.Start(t), issuertest.Start(t)
	g := start(t, home, "memory", func(c *config) {
		c.TrustIssuer = []string{away.URL + ",provider=keycloak,audience=api://gate"}
	}).ready()
	token := away.Sign(away.Access().With(fields{"aud": "api://gate"}))
	eventually(t, "the other issuer's keys", func() bool { return verdict(g.auth(bearer(token)...)) == "200" })
	id := g.identity(g.wantVerdict("200", bearer(token)...))
	if id.Subject != away.URL+"#"+issuertest.Subject || !strings.HasPrefix(id.SessionID, away.URL) {
		t.Errorf("identity %+v is one of the provider's", id)
	}
	g.wantVerdict("200", bearer(away.Sign(away.Access()))...) // made for this very address
	for name, token := range map[string]string{
		"its audience at another":      home.Sign(home.Access().With(fields{"aud": "api://gate"})),
		"another's audience":           away.Sign(away.Access().With(fields{"aud": "api://other"})),
		"a key of the other issuer":    away.Sign(home.Access()),
		"the provider's key, its name": home.Sign(away.Access().With(fields{"aud": "api://gate"})),
	} {
		res := g.auth(bearer(token)...)
		if verdict(res) != "401" || res.Header.Get(contract.HeaderUserID) != "" {
			t.Errorf("%s: %s", name, verdict(res))
		}
	}
}

// A role follows from a group, by the file.
func TestRoleMap(t *testing.T) {
	issuer := issuertest.Start(t)
	file := t.TempDir() + "/map.json"
	write(t, file, `{"/Engineering": ["mcp-user"]}`)
	g := start(
		t,
		issuer,
		"memory",
		needsRole,
		func(c *config) { c.Identity.RoleMap, c.Identity.RolesClaim = file, []string{"groups"} },
	).ready()
	id := g.identity(
		g.wantVerdict("200", bearer(issuer.Sign(issuer.Access().With(fields{"groups": []string{"/Engineering"}})))...),
	)
	if !id.HasRole("/Engineering") {
		t.Errorf("the group is lost: %q", id.Roles)
	}
	g.wantVerdict("403", bearer(issuer.Sign(issuer.Access().With(fields{"groups": []string{"/Sales"}})))...)
}
