// Package issuer is an OpenID Connect provider that signs everybody in at
// once: what a sign-in costs a gate without the cost of Keycloak. It promises
// tokens as Keycloak makes them (RS256, its claims). It must never leave
// loopback.
package issuer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The one client of the provider.
const (
	Client = "mcp-gateway"
	Secret = "load-only"
)

// Issuer is a running provider.
type Issuer struct {
	URL      string
	Audience string // set before the first token

	signer jose.Signer
	public jose.JSONWebKey
	server *http.Server
	mu     sync.Mutex
	nonces map[string]string // by code
}

const life = 8 * time.Hour

// Start listens on loopback.
func Start(ctx context.Context) (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	private := jose.JSONWebKey{Key: key, KeyID: "load-1", Algorithm: string(jose.RS256), Use: "sig"}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: private},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &Issuer{URL: "http://" + l.Addr().String(), signer: signer, public: private.Public(), nonces: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	i.server = &http.Server{Handler: mux}
	go func() { _ = i.server.Serve(l) }()
	return i, nil
}

// Close ends it.
func (i *Issuer) Close() { _ = i.server.Close() }

// Access makes an access token.
func (i *Issuer) Access() (string, error) { return i.access("load-user", i.Audience) }

// AccessTo makes an access token for another audience.
func (i *Issuer) AccessTo(audience string) (string, error) { return i.access("load-user", audience) }

// AccessAs is Access for one of many users.
func (i *Issuer) AccessAs(sub string) (string, error) { return i.access(sub, i.Audience) }

func (i *Issuer) access(sub, audience string) (string, error) {
	return i.sign(map[string]any{
		"sub": sub,
		"aud": []string{audience, Client}, "typ": "Bearer", "scope": "openid profile email mcp.access",
		"realm_access": map[string]any{"roles": []string{"mcp-user"}},
	})
}

func (i *Issuer) sign(claims map[string]any) (string, error) {
	now := time.Now()
	for name, value := range map[string]any{
		"iss": i.URL, "azp": Client, "sid": rand.Text(), "iat": now.Unix(), "exp": now.Add(life).Unix(),
		"email": "load@example.com", "email_verified": true, "name": "Load User", "preferred_username": "load",
	} {
		claims[name] = value
	}
	return jwt.Signed(i.signer).Claims(claims).Serialize()
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"jwks_uri": i.URL + "/keys", "end_session_endpoint": i.URL + "/logout",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.public}})
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	i.mu.Lock()
	i.nonces[code] = q.Get("nonce")
	i.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	i.mu.Lock()
	nonce, known := i.nonces[code]
	delete(i.nonces, code)
	i.mu.Unlock()
	sub := rand.Text() // each sign-in is somebody else: one user has few sessions
	access, err := i.access(sub, i.Audience)
	id, idErr := i.sign(map[string]any{"sub": sub, "aud": Client, "typ": "ID", "nonce": nonce})
	if !known || err != nil || idErr != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	writeJSON(w, map[string]any{
		"access_token": access, "id_token": id, "refresh_token": rand.Text(), "token_type": "Bearer", "expires_in": int(life.Seconds()),
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller is gone: nobody is left to tell
}
