package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/internal/contract"
)

// The client's secret is "of the gate", form-encoded in its header (RFC 6749,
// 2.3.1).

// chat is a provider of an oauth credential that rotates its refresh tokens and
// ends a whole grant where one is used twice (RFC 9700, 4.14.2).
type chat struct {
	*httptest.Server
	mu        sync.Mutex
	challenge string
	refresh   string
	access    string
	burnt     bool
	life      int // seconds
	refreshes int
	revoked   []string
}

func startChat(t *testing.T) *chat {
	c := &chat{life: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", c.token)
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if id, secret, _ := r.BasicAuth(); id == "gate" && secret == "of+the+gate" {
			c.revoked = append(c.revoked, r.FormValue("token"))
		}
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func (c *chat) token(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	refuse := func(word string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": word})
	}
	if id, secret, _ := r.BasicAuth(); id != "gate" || secret != "of+the+gate" {
		refuse("invalid_client")
		return
	}
	switch r.FormValue("grant_type") {
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if r.FormValue("code") != "good" || base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge ||
			r.FormValue("redirect_uri") != issuertest.Public+"/account/connect/chat/callback" {
			refuse("invalid_grant")
			return
		}
	case "refresh_token":
		if c.burnt = c.burnt || r.FormValue("refresh_token") != c.refresh; c.burnt {
			refuse("invalid_grant")
			return
		}
		c.refreshes++
	}
	c.access, c.refresh = "access-"+rand.Text(), "refresh-"+rand.Text()
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": c.access, "refresh_token": c.refresh, "expires_in": c.life, "token_type": "Bearer",
		"scope": "chat:write,channels:read",
	})
}

func (c *chat) now() (access, refresh string, refreshes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access, c.refresh, c.refreshes
}

func (c *chat) shorten(seconds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life = seconds
}

func chatFile(t *testing.T, c *chat) string {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "of the gate\n")
	return fmt.Sprintf(`{"credentials": [{"name": "chat", "kind": "oauth", "label": "Chat", "authorize": "%s/authorize",
		"token": "%s/token", "revoke": "%s/revoke", "client_id": "gate", "client_secret_file": %q,
		"scopes": ["chat:write", "channels:read"], "meaning": {"chat:write": "post messages"}}]}`,
		c.URL, c.URL, c.URL, secret)
}

// beginChat presses the button and returns what the provider is asked, with the
// browser's cookies.
func (g *gate) beginChat(c *chat, cookie string) (q url.Values, cookies string) {
	g.t.Helper()
	res := g.send(cookie, "/account/connect/chat/begin", nil)
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
		g.t.Fatalf("begin answered %d to %v", res.StatusCode, u)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.challenge = u.Query().Get("code_challenge")
	return u.Query(), cookie + "; " + res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
}

func (g *gate) connectChat(c *chat, cookie string) {
	g.t.Helper()
	q, cookies := g.beginChat(c, cookie)
	if res := g.chatAnswer(cookies, url.Values{"code": {"good"}, "state": {q.Get("state")}}); res != http.StatusSeeOther {
		g.t.Fatalf("the callback answered %d", res)
	}
}

func (g *gate) chatAnswer(cookies string, q url.Values) int {
	g.t.Helper()
	return g.do(g.public, http.MethodGet, "/account/connect/chat/callback?"+q.Encode(), "", "Cookie", cookies).StatusCode
}

// A user connects at the provider, and disconnecting takes both tokens back.
func TestCredentialOAuth(t *testing.T) {
	issuer, c := issuertest.Start(t), startChat(t)
	redis := redistest.Start(t)
	g := withCredentials(t, issuer, redis.URL, chatFile(t, c))
	cookie := g.login(issuer)
	if page := g.account(cookie, ""); !strings.Contains(page, "post messages") || !strings.Contains(page, "Connect Chat") {
		t.Error("the page does not say in plain words what is asked for")
	}
	q, _ := g.beginChat(c, cookie)
	for name, want := range map[string]string{
		"response_type": "code", "code_challenge_method": "S256", "scope": "chat:write channels:read", "client_id": "gate",
		"redirect_uri": issuertest.Public + "/account/connect/chat/callback",
	} {
		if q.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, q.Get(name), want)
		}
	}
	g.connectChat(c, cookie)
	access, refresh, _ := c.now()
	a, status := g.secretOf(g.assertion(cookie), "chat", "")
	if a.Secret != access || a.Expires == nil || time.Until(*a.Expires) > time.Hour {
		t.Fatalf("status %d, missing %+v, expires %v", status, a.Missing, a.Expires)
	}
	if found := string(dump(t, redis.URL)); strings.Contains(found, access) || strings.Contains(found, refresh) {
		t.Error("a dump holds a token")
	}
	g.send(cookie, "/account/connect/chat/end", nil)
	if len(c.revoked) != 2 || c.revoked[0] != refresh || c.revoked[1] != access {
		t.Errorf("%d tokens were taken back", len(c.revoked))
	}
	if strings.Contains(g.log.String()+g.auditText(), access) || strings.Contains(g.log.String()+g.auditText(), refresh) {
		t.Error("a token is in the log or the audit")
	}
}

// An answer of the provider counts only in the browser and for the user who
// began, for this entry, once, and from the issuer it should come from.
func TestCredentialOAuthRefusesForeignAnswers(t *testing.T) {
	issuer, c := issuertest.Start(t), startChat(t)
	g := withCredentials(t, issuer, "memory", chatFile(t, c))
	alice := g.login(issuer)
	issuer.Hand(issuer.Access().With(issuertest.Claims{"sub": "mallory"}))
	issuer.Speak(issuertest.Shape{ID: issuertest.Claims{"sub": "mallory"}})
	mallory := g.login(issuer)
	good := func(q url.Values) url.Values { return url.Values{"code": {"good"}, "state": {q.Get("state")}} }
	for name, one := range map[string]struct {
		change func(q url.Values, cookies string) (url.Values, string)
		want   int
	}{
		"another browser": {func(q url.Values, _ string) (url.Values, string) {
			return good(q), alice
		}, http.StatusBadRequest},
		"another user in that browser": {func(q url.Values, cookies string) (url.Values, string) {
			_, flow, _ := strings.Cut(cookies, "; ")
			return good(q), mallory + "; " + flow
		}, http.StatusBadRequest},
		"another state": {func(_ url.Values, cookies string) (url.Values, string) {
			return url.Values{"code": {"good"}, "state": {"other"}}, cookies
		}, http.StatusBadRequest},
		"nobody signed in": {func(q url.Values, cookies string) (url.Values, string) {
			_, flow, _ := strings.Cut(cookies, "; ")
			return good(q), flow
		}, http.StatusSeeOther}, // to sign in
		"another issuer": {func(q url.Values, cookies string) (url.Values, string) {
			v := good(q)
			v.Set("iss", "https://evil.example")
			return v, cookies
		}, http.StatusForbidden},
		"a stolen code": {func(q url.Values, cookies string) (url.Values, string) {
			v := good(q)
			v.Set("code", "stolen")
			return v, cookies
		}, http.StatusForbidden},
		"no consent": {func(q url.Values, cookies string) (url.Values, string) {
			return url.Values{"error": {"access_denied"}, "state": {q.Get("state")}}, cookies
		}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			q, cookies := g.beginChat(c, alice)
			answer, with := one.change(q, cookies)
			if got := g.chatAnswer(with, answer); got != one.want {
				t.Errorf("answered %d, want %d", got, one.want)
			}
			for _, cookie := range []string{alice, mallory} {
				if a, _ := g.secretOf(g.assertion(cookie), "chat", ""); a.Missing == nil {
					t.Error("it is connected")
				}
			}
		})
	}
}

// However many ask while the token is due, on two replicas, one renews: a
// provider that rotates would end the grant otherwise.
func TestCredentialOAuthIsRenewedOnce(t *testing.T) {
	issuer, c := issuertest.Start(t), startChat(t)
	redis, file := redistest.Start(t), chatFile(t, c)
	gates := []*gate{withCredentials(t, issuer, redis.URL, file), withCredentials(t, issuer, redis.URL, file)}
	cookie := gates[0].login(issuer)
	c.shorten(2)
	gates[0].connectChat(c, cookie)
	assertion := gates[0].assertion(cookie)
	first, _, _ := c.now()
	c.shorten(3600)
	eventually(t, "the token has lapsed", func() bool {
		a, status := gates[1].secretOf(assertion, "chat", "")
		return status == http.StatusOK && a.Secret != "" && a.Secret != first
	})
	_, _, before := c.now()
	if before != 1 {
		t.Fatalf("%d refreshes for one token", before)
	}
	c.shorten(1)
	gates[0].connectChat(c, cookie) // again, and nearly over
	lapsed, _, _ := c.now()
	c.shorten(3600)
	<-time.After(1100 * time.Millisecond) // the life of that token
	var asks sync.WaitGroup
	got := make(chan string, 40)
	for i := range 40 {
		asks.Go(func() {
			body, _ := json.Marshal(contract.CredentialRequest{Assertion: assertion, Name: "chat"})
			res := gates[i%2].do(gates[i%2].internal, http.MethodPost, contract.PathCredentials, string(body),
				"Authorization", "Bearer "+bridgeToken)
			a, err := contract.ReadCredentialAnswer(res.Body)
			if err != nil || a.Missing != nil {
				t.Errorf("status %d, missing %+v, %v", res.StatusCode, a.Missing, err)
			}
			got <- a.Secret
		})
	}
	asks.Wait()
	close(got)
	access, _, refreshes := c.now()
	for secret := range got {
		if secret != access || secret == lapsed {
			t.Error("somebody got another token than the renewed one")
		}
	}
	if refreshes != before+1 {
		t.Errorf("%d refreshes for 40 who asked at once, want 1", refreshes-before)
	}
}

// A grant that the provider does not renew any more is missing, and its user is
// told where to connect it again.
func TestCredentialOAuthThatEndedIsMissing(t *testing.T) {
	issuer, c := issuertest.Start(t), startChat(t)
	g := withCredentials(t, issuer, "memory", chatFile(t, c))
	cookie := g.login(issuer)
	c.shorten(1)
	g.connectChat(c, cookie)
	assertion := g.assertion(cookie)
	c.mu.Lock()
	c.burnt = true
	c.mu.Unlock()
	eventually(t, "it is missing", func() bool {
		a, _ := g.secretOf(assertion, "chat", "")
		return a.Missing != nil && strings.HasSuffix(a.Missing.Connect, "/account/connect/chat")
	})
	if page := g.account(cookie, ""); !strings.Contains(page, "Connect Chat") {
		t.Error("the page says that it is connected")
	}
}
