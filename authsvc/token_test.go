package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/authsvc/internal/issuertest"
)

type fields = issuertest.Claims

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestBearer(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	id := g.identity(g.wantVerdict("200", bearer(issuer.Sign(issuer.Access()))...))
	if id.SessionID != issuertest.SID || !id.HasScope("mcp.access") || !id.HasRole("mcp-user") {
		t.Errorf("identity = %+v", id)
	}
	machine := issuer.Access().
		With(fields{"sid": nil, "email": nil, "name": nil, "sub": "service-account", "azp": "robot", "client_id": "robot"})
	if id := g.identity(g.wantVerdict("200", bearer(issuer.Sign(machine))...)); id.Subject != "service-account" ||
		id.SessionID != "" {
		t.Errorf("a machine's identity = %+v", id)
	}
}

func TestBadTokens(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	ok, now, key := issuer.Access(), time.Now().Unix(), issuer.Key()
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	public, _ := x509.MarshalPKIXPublicKey(key.Public().Key)
	good := issuer.Sign(ok)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	tokens := map[string]string{
		"garbage": "garbage", "cut": good[:len(good)-10], "alg none": none, "no signature": parts[0] + "." + parts[1] + ".",
		"HS256 with the public key": issuertest.SignWith(
			jose.HS256,
			jose.JSONWebKey{Key: public, KeyID: key.KeyID},
			"JWT",
			ok,
		),
		"another key, our kid": issuertest.SignWith(
			jose.ES256,
			jose.JSONWebKey{Key: stranger, KeyID: key.KeyID},
			"JWT",
			ok,
		),
		"kid with a path": issuertest.SignWith(
			jose.ES256,
			jose.JSONWebKey{Key: stranger, KeyID: "../../dev/null"},
			"JWT",
			ok,
		),
		"oversized":            issuer.Sign(ok.With(fields{"x": strings.Repeat("y", 20<<10)})),
		"type of another kind": issuertest.SignWith(jose.ES256, key, "logout+jwt", ok),
		"logout token":         issuer.Sign(issuer.Logout()),
	}
	for name, change := range map[string]fields{
		"expired": {"exp": now - 60}, "no exp": {"exp": nil}, "not yet": {"nbf": now + 60}, "from the future": {"iat": now + 60},
		"another audience": {"aud": "https://other.example/mcp"}, "no audience": {"aud": nil}, "another realm": {"iss": issuer.URL + "/other"},
		"ID token": {"typ": "ID"}, "refresh token": {"typ": "Refresh"}, "offline token": {"typ": "Offline"}, "no type": {"typ": nil},
		"no subject":             {"sub": nil},
		"bound to a certificate": {"cnf": fields{"x5t#S256": "x"}}, "bound to a certificate and a key": {"cnf": fields{"x5t#S256": "x", "jkt": "y"}},
		"bound to nothing that is named": {"cnf": fields{}}, "of type DPoP, bound to nothing": {"typ": "DPoP"},
	} {
		tokens[name] = issuer.Sign(ok.With(change))
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			g := &gate{t: t, svc: g.svc, public: g.public, internal: g.internal}
			res := g.wantVerdict("401", bearer(token)...)
			if !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("challenge %q", res.Header.Get("WWW-Authenticate"))
			}
		})
	}
	for name, change := range map[string]fields{
		"CRLF in a claim": {"email": "a@b\r\nX-User-Roles: mcp-admin"}, "control byte in sid": {"sid": "a\x00b"},

		"an empty role": {"realm_access": fields{"roles": []string{"mcp-user", ""}}}, "roles that are no list": {"realm_access": fields{"roles": 7}},
	} {
		res := g.wantVerdict("403", bearer(issuer.Sign(ok.With(change)))...)
		if !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="unusable_identity"`) {
			t.Errorf("%s: challenge %q", name, res.Header.Get("WWW-Authenticate"))
		}
	}
	for _, header := range []string{"Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "Bearer " + good + ", Bearer x", ""} {
		g.wantVerdict("401", "Authorization", header)
	}
	g.wantVerdict("401", "Authorization", "Bearer "+good, "Authorization", "Bearer "+good)
	g.wantVerdict("200", bearer(good)...)
}

func TestInsufficient(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) {
		c.RequireRole, c.AllowAnyUser, c.Scopes = "mcp-user", false, []string{"mcp.access", "mcp.more"}
	}).ready()
	res := g.wantVerdict("403", bearer(issuer.Sign(issuer.Access()))...)
	challenge := res.Header.Get("WWW-Authenticate")
	if !strings.Contains(challenge, `error="insufficient_scope"`) ||
		!strings.Contains(challenge, `scope="mcp.access mcp.more"`) {
		t.Errorf("challenge %q", challenge)
	}
	g.wantVerdict(
		"403",
		bearer(issuer.Sign(issuer.Access().With(fields{"scope": "mcp.access mcp.more", "realm_access": nil})))...)
}

func TestUnknownKeysCauseOneFetch(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	before := issuer.JWKS.Load()
	for range 200 {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		g.wantVerdict(
			"401",
			bearer(issuertest.SignWith(jose.ES256, jose.JSONWebKey{Key: key, KeyID: rand.Text()}, "JWT", issuer.Access()))...)
	}
	if n := issuer.JWKS.Load() - before; n > 1 {
		t.Errorf("200 tokens with unknown keys caused %d fetches, want at most 1", n)
	}
}

func TestRotatedKeys(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	old := issuer.Sign(issuer.Access())
	g.wantVerdict("200", bearer(old)...)
	issuer.Rotate()
	fresh := issuer.Sign(issuer.Access())
	took := eventually(t, "a token of the new key", func() bool { return verdict(g.auth(bearer(fresh)...)) == "200" })
	t.Logf("the new key was learnt after %s", took)
	took = eventually(t, "the withdrawn key bites", func() bool { return verdict(g.auth(bearer(old)...)) == "401" })
	t.Logf("the withdrawn key bit after %s more", took)
}

func TestDPoP(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	public := jose.JSONWebKey{Key: private.Public()}
	print, _ := public.Thumbprint(crypto.SHA256)
	token := issuer.Sign(
		issuer.Access().
			With(fields{"typ": "DPoP", "cnf": fields{"jkt": base64.RawURLEncoding.EncodeToString(print), "kc-jkt-type": "DPoP"}}),
	)
	hash := sha256.Sum256([]byte(token))
	good := func() fields {
		return fields{
			"jti": rand.Text(),
			"htm": "POST",
			"htu": issuertest.Audience,
			"iat": time.Now().Unix(),
			"ath": base64.RawURLEncoding.EncodeToString(hash[:]),
		}
	}
	challenged := func(res *http.Response, errorCode string) {
		t.Helper()
		if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != http.StatusOK &&
			(!strings.HasPrefix(got, `DPoP error="`+errorCode+`", resource_metadata="`) || !strings.HasSuffix(got, `, algs="RS256 ES256 PS256 EdDSA"`)) {
			t.Errorf("challenge %q, want that of DPoP with %s", got, errorCode)
		}
	}
	ask := func(want string, proof string) {
		t.Helper()
		challenged(g.wantVerdict(want, "Authorization", "DPoP "+token, "DPoP", proof), "invalid_dpop_proof")
	}
	first := proof(private, "dpop+jwt", good())
	ask("200", first)
	ask("401", first) // a replay
	ask("200", proof(private, "dpop+jwt", good()))
	challenged(g.wantVerdict("401", bearer(token)...), "invalid_dpop_proof")
	challenged(g.wantVerdict("401", "Authorization", "DPoP "+token), "invalid_dpop_proof")
	challenged(
		g.wantVerdict(
			"401",
			"Authorization",
			"DPoP "+issuer.Sign(issuer.Access()),
			"DPoP",
			proof(private, "dpop+jwt", good()),
		),
		"invalid_token",
	)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ask("401", proof(other, "dpop+jwt", good()))
	ask("401", proof(private, "JWT", good()))
	for _, change := range []fields{
		{"htm": "GET"}, {"htu": issuertest.Public + "/sse"}, {"ath": "x"}, {"jti": ""}, {"iat": nil},
		{"iat": time.Now().Add(-time.Hour).Unix()}, {"iat": time.Now().Add(time.Hour).Unix()},
	} {
		ask("401", proof(private, "dpop+jwt", good().With(change)))
	}
}

func proof(key *ecdsa.PrivateKey, typ string, c fields) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic(err)
	}
	return issuertest.Serialize(signer, c)
}

func TestMetadata(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	const base = "/.well-known/oauth-protected-resource"
	for path, want := range map[string]int{"": 200, "/mcp": 200, "/sse": 200, "/servers/one/mcp": 200, "/other": 404, "/servers/../mcp": 404} {
		res := g.do(g.public, http.MethodGet, base+path, "")
		body := make([]byte, 4096)
		n, _ := res.Body.Read(body)
		if res.StatusCode != want || res.Header.Get("Access-Control-Allow-Origin") != "*" && want == 200 {
			t.Errorf("%s answered %d", path, res.StatusCode)
		}
		if want == 200 && !strings.Contains(string(body[:n]), `"resource":"`+issuertest.Public+path+`"`) {
			t.Errorf("%s: %s", path, body[:n])
		}
	}
	if res := g.do(g.public, http.MethodOptions, base+"/mcp", ""); res.StatusCode != http.StatusNoContent {
		t.Errorf("preflight answered %d", res.StatusCode)
	}
}

// In containers authsvc reaches the issuer by another name than browsers do:
// tokens and redirects carry the public one, its own calls go to the other.
func TestInternalIssuer(t *testing.T) {
	const public = "https://sso.example.com/realms/gatehouse"
	issuer := issuertest.Start(t)
	internal := issuer.URL
	issuer.URL = public // from here on it calls itself so
	g := start(t, issuer, "memory", func(c *config) { c.IssuerInternal = internal }).ready()
	g.wantVerdict("200", bearer(issuer.Sign(issuer.Access()))...)
	g.wantVerdict("401", bearer(issuer.Sign(issuer.Access().With(fields{"iss": internal})))...)
	res := g.do(g.public, http.MethodGet, "/login", "")
	if to := res.Header.Get("Location"); !strings.HasPrefix(to, public+"/authorize?") {
		t.Errorf("login leads to %q", to)
	}
	g.wantVerdict("200", "Cookie", g.login(issuer))
}
