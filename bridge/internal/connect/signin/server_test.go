package signin_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/bridge/internal/connect/signin"
)

func TestMain(m *testing.M) {
	// The library keeps one connection to the bus for the whole process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/godbus/dbus/v5.(*Conn).inWorker"),
		goleak.IgnoreAnyFunction("github.com/godbus/dbus/v5.newConn.func1"))
}

// world is a protected server and its authorization server, at two origins.
type world struct {
	t        *testing.T
	resource *httptest.Server
	issuer   *httptest.Server
	life     int64 // seconds of a token; 0 says nothing of it

	mu       sync.Mutex
	count    map[string]int // of what was asked
	codes    map[string]url.Values
	access   map[string]string // token → scope
	refresh  map[string]string // token → scope; each is good once
	asked    []url.Values      // authorization requests
	methods  []string          // of the token endpoint
	document bool              // client id metadata documents are taken
	change   func(name string, doc map[string]any)
	back     func(q url.Values) // changes what the browser comes back with
	gone     bool               // the user has signed out

	elsewhere string // where /elsewhere redirects to
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, life: 300, count: map[string]int{}, codes: map[string]url.Values{}, access: map[string]string{},
		refresh: map[string]string{}, methods: []string{"none"},
	}
	w.resource = httptest.NewServer(http.HandlerFunc(w.serveResource))
	w.issuer = httptest.NewServer(http.HandlerFunc(w.serveIssuer))
	t.Cleanup(func() {
		w.resource.Close()
		w.issuer.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return w
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[what]++
}

func (w *world) times(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[what]
}

func (w *world) write(rw http.ResponseWriter, name string, doc map[string]any) {
	if w.change != nil {
		w.change(name, doc)
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(doc)
}

func (w *world) url() string { return w.resource.URL + "/mcp" }

func (w *world) serveResource(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") {
		w.write(rw, "resource", map[string]any{
			"resource": w.url(), "authorization_servers": []string{w.issuer.URL}, "scopes_supported": []string{"mcp"},
		})
		return
	}
	rw.WriteHeader(http.StatusNotFound)
}

func (w *world) serveIssuer(rw http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		w.write(rw, "issuer", map[string]any{
			"issuer": w.issuer.URL, "authorization_endpoint": w.issuer.URL + "/authorize", "token_endpoint": w.issuer.URL + "/token",
			"registration_endpoint": w.issuer.URL + "/register", "revocation_endpoint": w.issuer.URL + "/revoke",
			"device_authorization_endpoint": w.issuer.URL + "/device", "code_challenge_methods_supported": []string{"S256"},
			"token_endpoint_auth_methods_supported": w.methods, "authorization_response_iss_parameter_supported": true,
			"client_id_metadata_document_supported": w.document,
		})
	case "/register":
		w.note("register")
		rw.WriteHeader(http.StatusCreated)
		w.write(
			rw,
			"registration",
			map[string]any{"client_id": "registered", "client_secret": "secret%&", "token_endpoint_auth_method": w.methods[0]},
		)
	case "/authorize":
		w.authorize(rw, r)
	case "/token":
		w.token(rw, r)
	case "/device":
		w.note("device")
		if !w.knows(r) {
			w.refuse(rw, "unauthorized_client")
			return
		}
		w.write(rw, "device", map[string]any{
			"device_code": "device", "user_code": "ABCD", "verification_uri": w.issuer.URL + "/visit", "expires_in": 60, "interval": 1,
		})
	case "/clients/registered":
		w.deregister(rw, r)
	case "/elsewhere":
		http.Redirect(rw, r, w.elsewhere, http.StatusTemporaryRedirect)
	case "/revoke":
		w.note("revoke " + r.Form.Get("token_type_hint"))
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
}

func (w *world) authorize(rw http.ResponseWriter, r *http.Request) {
	w.note("authorize")
	q := r.URL.Query()
	code := rand.Text()
	w.mu.Lock()
	w.asked = append(w.asked, q)
	w.codes[code] = q
	w.gone = false
	w.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {w.issuer.URL}}
	if w.back != nil {
		w.back(back)
	}
	http.Redirect(rw, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// knows reports whether the client said who it is, as it registered.
func (w *world) knows(r *http.Request) bool {
	user, secret, basic := r.BasicAuth()
	switch w.methods[0] {
	case "client_secret_basic":
		return basic && user == "registered" && secret == url.QueryEscape("secret%&") && !r.Form.Has("client_secret")
	case "client_secret_post":
		return !basic && r.Form.Get("client_secret") == "secret%&"
	}
	return !basic && !r.Form.Has("client_secret")
}

func (w *world) token(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[r.Form.Get("grant_type")]++
	switch {
	case !w.knows(r):
		w.refuse(rw, "invalid_client")
		return
	case r.Form.Get("resource") != w.url():
		w.refuse(rw, "invalid_target")
		return
	}
	var scope string
	switch r.Form.Get("grant_type") {
	case "authorization_code":
		asked, ok := w.codes[r.Form.Get("code")]
		sum := sha256.Sum256([]byte(r.Form.Get("code_verifier")))
		delete(w.codes, r.Form.Get("code"))
		if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") ||
			asked.Get("redirect_uri") != r.Form.Get("redirect_uri") {
			w.refuse(rw, "invalid_grant")
			return
		}
		scope = asked.Get("scope")
	case "refresh_token":
		var ok bool
		scope, ok = w.refresh[r.Form.Get("refresh_token")]
		delete(w.refresh, r.Form.Get("refresh_token"))
		if !ok || w.gone {
			w.refuse(rw, "invalid_grant")
			return
		}
	case "urn:ietf:params:oauth:grant-type:device_code":
		if w.count[r.Form.Get("grant_type")] == 1 {
			w.refuse(rw, "authorization_pending")
			return
		}
		scope = r.Form.Get("scope")
	default:
		w.refuse(rw, "unsupported_grant_type")
		return
	}
	access, refresh := rand.Text(), rand.Text()
	w.access[access], w.refresh[refresh] = scope, scope
	rw.Header().Set("Content-Type", "application/json")
	doc := map[string]any{"access_token": access, "token_type": "Bearer", "refresh_token": refresh, "scope": scope}
	if w.life > 0 {
		doc["expires_in"] = w.life
	}
	_ = json.NewEncoder(rw).Encode(doc)
}

func (w *world) refuse(rw http.ResponseWriter, code string) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(rw, `{"error":%q}`, code)
}

// user is one process of the user's.
type user struct {
	*signin.Source
	w    *world
	mu   sync.Mutex
	said []string
	skew time.Duration // of the clock
}

func (w *world) user(dir string, change func(o *signin.Options)) *user {
	u := &user{w: w}
	o := signin.Options{
		URL: w.url(), Dir: dir, Transport: http.DefaultTransport, Tell: u.tell,
		Browse: func(link string) error {
			go func() {
				if res, err := http.Get(link); err == nil { //nolint:noctx // the browser of a test
					_ = res.Body.Close()
				}
			}()
			return nil
		},
		Now: func() time.Time {
			u.mu.Lock()
			defer u.mu.Unlock()
			return time.Now().Add(u.skew)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if u.Source, err = signin.New(o); err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (u *user) tell(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.said = append(u.said, text)
}

func (u *user) later(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.skew = d
}

// use sends requests as the other end does, until the token is taken.
func (u *user) use(ctx context.Context, scope string) (token string, err error) {
	for range 6 {
		if token, err = u.Token(ctx); err != nil {
			return "", err
		}
		status, header := u.w.judge(token, scope)
		if status == http.StatusOK {
			return token, nil
		}
		if err := u.Refused(ctx, token, status, header); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("the token is still refused")
}

// judge answers as the server does to a request with the token.
func (w *world) judge(token, scope string) (int, http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	granted, ok := w.access[token]
	challenge := fmt.Sprintf(`Bearer resource_metadata="%s/.well-known/oauth-protected-resource/mcp"`, w.resource.URL)
	switch {
	case !ok || w.gone:
		return http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}}
	case scope != "" && !strings.Contains(" "+granted+" ", " "+scope+" "):
		return http.StatusForbidden, http.Header{
			"Www-Authenticate": {challenge + `, error="insufficient_scope", scope="` + scope + `"`},
		}
	}
	return http.StatusOK, nil
}
