//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	streamPromise = 5 * time.Second // from an ending to a closed stream
	shortTokens   = "6"             // seconds that an access token lives
)

// An administrator ends all of a user's sessions in Keycloak's console ("Sign
// out all active sessions"): Keycloak tells authsvc by back-channel logout.
func TestConsoleLogoutClosesStreams(t *testing.T) {
	t.Parallel()
	who, other := newPerson(t), newPerson(t)
	browser, machine, bystander := signIn(
		t,
		who.name,
	), client(
		bearer(token(t, who.name)),
	), client(
		bearer(token(t, other.name)),
	)
	streams := []stream{openStream(t, "a browser's stream", browser), openStream(t, "a Bearer client's stream", machine)}
	stays := openStream(t, "a bystander's stream", bystander)
	begin := time.Now()
	admin(t, http.MethodPost, "/users/"+who.id+"/logout", nil, nil)
	for _, s := range streams {
		s.wantEnd(t, begin, streamPromise)
	}
	refusedSoon(t, "the browser", browser, begin, streamPromise)
	refusedSoon(t, "the Bearer client", machine, begin, streamPromise)
	stays.wantOpen(t)
}

// The console's "Sign out" of one session ends that one alone.
func TestConsoleEndsOneSession(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	ends, stays := signIn(t, who.name), client(bearer(token(t, who.name)))
	var sessions []struct {
		ID      string
		Clients map[string]string
	}
	admin(t, http.MethodGet, "/users/"+who.id+"/sessions", nil, &sessions)
	var sid string
	for _, s := range sessions {
		for _, clientID := range s.Clients {
			if clientID == "mcp-gateway" {
				sid = s.ID
			}
		}
	}
	s, keeps := openStream(t, "the session's stream", ends), openStream(t, "another session's stream", stays)
	begin := time.Now()
	admin(t, http.MethodDelete, "/sessions/"+sid, nil, nil)
	s.wantEnd(t, begin, streamPromise)
	refusedSoon(t, "the session", ends, begin, streamPromise)
	keeps.wantOpen(t)
}

func TestSignOutClosesStreams(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	c := signIn(t, who.name)
	s := openStream(t, "the browser's stream", c)
	begin := time.Now()
	if res, body := send(t, withHeader(c, "Sec-Fetch-Site", "same-origin"), http.MethodPost,
		gate.URL+"/logout"); res.StatusCode != http.StatusSeeOther ||
		!strings.HasPrefix(res.Header.Get("Location"), gate.Issuer) {
		t.Fatalf("%s to %q: %s", res.Status, res.Header.Get("Location"), body)
	}
	s.wantEnd(t, begin, streamPromise)
	refusedSoon(t, "the browser", c, begin, streamPromise)
}

func withHeader(c *http.Client, name, value string) *http.Client {
	with := *c
	with.Transport = as{c.Transport, map[string]string{name: value}}
	return &with
}

// Whoever runs the gate ends all that a user has, tokens included.
func TestNativeRevocation(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	browser, machine := signIn(t, who.name), client(bearer(token(t, who.name)))
	streams := []stream{openStream(t, "a browser's stream", browser), openStream(t, "a Bearer client's stream", machine)}
	begin := time.Now()
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/internal/sessions/revoke", gate.Ports.AuthsvcInternal),
		"application/json", bytes.NewReader(fmt.Appendf(nil, `{"sub":%q}`, who.id)))
	if err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
	for _, s := range streams {
		s.wantEnd(t, begin, streamPromise)
	}
	refusedSoon(t, "the browser", browser, begin, streamPromise)
	refusedSoon(t, "the Bearer client", machine, begin, streamPromise)
	<-time.After(time.Second) // iat counts whole seconds
	if res, _ := send(t, client(bearer(token(t, who.name))), http.MethodGet, gate.URL+"/mcp"); !admitted(res) {
		t.Errorf("a token issued after the revocation: %s", res.Status)
	}
}

// With tokens of six seconds the session is renewed again and again, nobody
// is asked to sign in, and a new role is seen at the next renewal.
func TestRefreshAcrossExpiry(t *testing.T) {
	changed(t, "mcp-gateway", map[string]string{"access.token.lifespan": shortTokens})
	who := newPerson(t)
	c := signIn(t, who.name)
	who.grant(t, "mcp-admin")
	const promise = 10 * time.Second
	granted, seen := time.Now(), time.Duration(0)
	goesOn := func(after time.Duration) bool {
		return after < 14*time.Second || seen == 0 && after < crowded*promise
	}
	for ; goesOn(time.Since(granted)); <-time.After(250 * time.Millisecond) {
		res, page := send(t, c, http.MethodGet, gate.URL+"/account")
		if res.StatusCode != http.StatusOK || !strings.Contains(page, who.name) {
			t.Fatalf("after %s: %s", time.Since(granted), res.Status)
		}
		if seen == 0 && strings.Contains(page, "mcp-admin") {
			seen = time.Since(granted)
		}
	}
	if seen == 0 || seen > crowded*promise {
		t.Errorf("the new role was seen after %s, tokens live %s s", seen, shortTokens)
	}
	t.Logf("%.0f s with tokens of %s s and no login; a new role was seen after %.1f s, promised %s",
		time.Since(granted).Seconds(), shortTokens, seen.Seconds(), promise)
}

// A disabled user is out when the token that the session holds has lapsed.
func TestDisabledUser(t *testing.T) {
	changed(t, "mcp-gateway", map[string]string{"access.token.lifespan": shortTokens})
	who := newPerson(t)
	c := signIn(t, who.name)
	s := openStream(t, "the disabled user's stream", c)
	begin := time.Now()
	admin(t, http.MethodPut, "/users/"+who.id, map[string]any{"enabled": false}, nil)
	// Callers drive the renewal: a browser that asks for nothing is refused
	// at its next request.
	refusedSoon(t, "the disabled user", c, begin, 15*time.Second)
	s.wantEnd(t, begin, 15*time.Second+streamPromise)
}

// keysPromise is docs/authsvc.md: two looks at the keys are 15 s apart and take
// 1.5 s at most, what was verified is asked after within a second, and nginx
// remembers for one more.
const keysPromise = 18 * time.Second

// The realm's signing key is replaced and the old one withdrawn, as after a
// leak: new tokens are good at once, tokens of the old key end.
func TestRotatedRealmKeys(t *testing.T) {
	who := newPerson(t)
	browser, old := signIn(t, who.name), client(bearer(token(t, who.name)))
	if res, _ := send(t, old, http.MethodGet, gate.URL+"/mcp"); !admitted(res) {
		t.Fatal(res.Status)
	}
	var realm struct{ ID string }
	admin(t, http.MethodGet, "", nil, &realm)
	var keys []struct{ ID, ProviderID string }
	admin(t, http.MethodGet, "/components?type=org.keycloak.keys.KeyProvider&parent="+realm.ID, nil, &keys)
	admin(t, http.MethodPost, "/components", map[string]any{
		"name": "rsa-new", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
		"parentId": realm.ID,
		"config": map[string][]string{
			"priority":  {"1000"},
			"algorithm": {"RS256"},
			"keySize":   {"2048"},
			"enabled":   {"true"},
			"active":    {"true"},
		},
	}, nil)
	for _, key := range keys {
		if key.ProviderID == "rsa-generated" {
			admin(t, http.MethodDelete, "/components/"+key.ID, nil, nil)
		}
	}
	begin := time.Now()
	fresh := client(bearer(token(t, who.name)))
	took := eventually(t, 15*time.Second, "a token of the new key", func() bool {
		res, _ := send(t, fresh, http.MethodGet, gate.URL+"/mcp")
		return admitted(res)
	})
	t.Logf("a token of the new key: let in after %.1f s", took.Seconds())
	// Where the keys were read between the two changes, the new token was no news
	// and nothing asks again before the next look.
	refusedSoon(t, "a token of the withdrawn key", old, begin, keysPromise)
	if res, _ := send(t, browser, http.MethodGet, gate.URL+"/mcp"); !admitted(res) {
		t.Errorf("the browser's session: %s", res.Status)
	}
}
