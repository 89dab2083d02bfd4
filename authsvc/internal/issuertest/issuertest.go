// Package issuertest is an OpenID Connect provider for tests, with the ways of
// Keycloak: rotating refresh tokens, roles in the access token only, and
// switches to be slow, away or to refuse.
package issuertest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Names that the tests share.
const (
	Client   = "mcp-gateway"
	Secret   = "test-secret"
	Public   = "https://gate.example.com"
	Audience = Public + "/mcp"
	Subject  = "alice-id"
	SID      = "kc-session"
)

// Issuer is one provider.
type Issuer struct {
	URL       string
	Refreshes atomic.Int32
	JWKS      atomic.Int32 // fetches of the key set
	Disabled  atomic.Bool  // refuses refresh tokens
	Away      atomic.Bool  // answers 503 to discovery
	Hang      atomic.Bool  // does not answer at the token endpoint
	NoKeys    atomic.Bool  // answers 503 to who wants its keys
	NoDate    atomic.Bool  // sends no Date with its keys, as Keycloak does
	TokenLife atomic.Int64 // seconds
	Drop      func()       // breaks all connections, and what hangs on them

	mu      sync.Mutex
	key     jose.JSONWebKey
	kids    int
	nonce   string
	refresh string
	secrets []string // of the client, newest first
	shown   string   // the secret of the last call
	acr     string   // of the next sign-ins
	session string   // of the tokens, "" is SID
	hand    Claims   // of the access tokens that are handed out, nil for Access
	shape   Shape
}

// Claims of one token.
type Claims map[string]any

// Start runs a provider that ends with the test.
func Start(t testing.TB) *Issuer {
	i := &Issuer{secrets: []string{Secret}}
	i.TokenLife.Store(300)
	i.Rotate()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() }) // a call may hang still
	i.URL, i.Drop = server.URL, server.CloseClientConnections
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("GET /link", link)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", i.userinfo)
	mux.HandleFunc("GET /groups/{user}", i.groups)
	return i
}

// Rotate replaces the signing key; the old one is withdrawn.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	i.kids++
	kid := fmt.Sprintf("key-%d", i.kids)
	i.mu.Unlock()
	i.Replace(kid)
}

// Replace withdraws the signing key for a new one under a kid, which may be that
// of the old one, or none.
func (i *Issuer) Replace(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: string(jose.ES256), Use: "sig"}
}

// Key is the signing key.
func (i *Issuer) Key() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	if i.Away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"jwks_uri": i.URL + "/keys", "end_session_endpoint": i.URL + "/logout", "userinfo_endpoint": i.URL + "/userinfo",
		"authorization_response_iss_parameter_supported": true,
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	away := i.NoKeys.Load()
	i.JWKS.Add(1)
	if away {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	if i.NoDate.Load() {
		w.Header()["Date"] = nil
	}
	key := i.Key()
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
}

// Access is the claims of a good access token.
func (i *Issuer) Access() Claims {
	now := time.Now()
	return Claims{
		"iss": i.URL, "sub": Subject, "aud": []string{Audience, "account"}, "typ": "Bearer", "azp": Client, "sid": i.sid(),
		"exp": now.Unix() + i.TokenLife.Load(), "iat": now.Unix(), "scope": "openid mcp.access", "email": "alice@example.com",
		"email_verified": true,
		"name":           "Alice", "realm_access": map[string]any{"roles": []string{"mcp-user"}},
		"resource_access": map[string]any{Client: map[string]any{"roles": []string{"helper"}}},
	}
}

// With returns a copy with other values; nil removes.
func (c Claims) With(changes Claims) Claims {
	out := maps.Clone(c)
	for name, value := range changes {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

// NewSession makes the tokens from now on those of another session.
func (i *Issuer) NewSession(sid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.session = sid
}

func (i *Issuer) sid() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return cmp.Or(i.session, SID)
}

// StepUp makes the sign-ins from now on those of an acr.
func (i *Issuer) StepUp(acr string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.acr = acr
}

// Logout is the claims of a good logout token.
func (i *Issuer) Logout() Claims {
	now := time.Now()
	return Claims{
		"iss": i.URL, "aud": Client, "iat": now.Unix(), "exp": now.Unix() + 60, "jti": rand.Text(), "typ": "Logout",
		"sid": SID, "sub": Subject,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
}

// Sign makes a token of type JWT.
func (i *Issuer) Sign(c Claims) string { return SignWith(jose.ES256, i.Key(), "JWT", c) }

// SignWith makes a token with any key and type.
func SignWith(alg jose.SignatureAlgorithm, key any, typ string, c Claims) string {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: alg, Key: key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)),
	)
	if err != nil {
		panic(err)
	}
	return Serialize(signer, c)
}

// Serialize makes a token with a signer of the test's own.
func Serialize(signer jose.Signer, c Claims) string {
	token, err := jwt.Signed(signer).Claims(map[string]any(c)).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}

// Expect sets the nonce of the next code.
func (i *Issuer) Expect(nonce string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.nonce = nonce
}

// Hand sets the claims of the access tokens that are handed out, nil for
// those of Access.
func (i *Issuer) Hand(c Claims) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hand = c
}

// link is a page of another site that leads somewhere.
func link(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, `<a id="link" href=%q>go</a>`, r.URL.Query().Get("to"))
}

// authorize signs everybody in at once, where a browser comes by.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i.Expect(q.Get("nonce"))
	i.StepUp(q.Get("acr_values"))
	back := url.Values{"code": {"good"}, "state": {q.Get("state")}, "iss": {i.URL}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm() // read whole, or a caller that hangs up is not noticed
	if i.Hang.Load() {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !i.knows(r) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_client"})
		return
	}
	if err != nil || !i.allowed(r) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant"})
		return
	}
	if r.PostForm.Get("grant_type") == "client_credentials" {
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": ownToken, "token_type": "Bearer", "expires_in": 3599})
		return
	}
	i.mu.Lock()
	i.refresh = rand.Text()
	refresh, nonce, acr, access, shape := i.refresh, i.nonce, i.acr, i.hand, i.shape
	i.mu.Unlock()
	if access == nil {
		access = i.Access()
	}
	answer := map[string]any{
		"access_token": i.Sign(access), "token_type": "Bearer", "expires_in": i.TokenLife.Load(), "refresh_token": refresh,
	}
	if shape.Opaque != "" {
		answer["access_token"] = shape.Opaque
	}
	if shape.Scope != "" {
		answer["scope"] = shape.Scope
	}
	id := Claims{"iss": i.URL, "sub": Subject, "aud": Client, "azp": Client, "typ": "ID", "sid": i.sid(),
		"exp": time.Now().Unix() + 300, "iat": time.Now().Unix(), "nonce": nonce}
	if acr != "" {
		id["acr"] = acr
	}
	answer["id_token"] = i.Sign(id.With(shape.ID))
	_ = json.NewEncoder(w).Encode(answer)
}

// Accept sets the client's secrets: two while one is being rotated.
func (i *Issuer) Accept(secrets ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.secrets = secrets
}

// Shown is the secret of the last call that was accepted.
func (i *Issuer) Shown() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.shown
}

// knows checks the client by its secret.
func (i *Issuer) knows(r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	i.mu.Lock()
	defer i.mu.Unlock()
	ok := id == Client && slices.Contains(i.secrets, secret)
	if ok {
		i.shown = secret
	}
	return ok
}

// allowed takes any code, and each refresh token once.
func (i *Issuer) allowed(r *http.Request) bool {
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		return r.PostForm.Get("scope") != ""
	case "authorization_code":
		return r.PostForm.Get("code") == "good" && r.PostForm.Get("code_verifier") != ""
	}
	if r.PostForm.Get("refresh_token") == "none" { // who only asks whether it is known
		return false
	}
	i.Refreshes.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	ok := r.PostForm.Get("refresh_token") == i.refresh && !i.Disabled.Load()
	i.refresh = ""
	return ok
}
