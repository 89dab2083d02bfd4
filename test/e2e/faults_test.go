//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/stack"
)

func TestRedisAway(t *testing.T) {
	cookie, session := signIn(t, stack.Alice), open(t, token(t, stack.Bob))
	over := outage(t, stack.Redis)
	var res *http.Response
	took := eventually(t, crowded*10*time.Second, "503 for the cookie", func() bool {
		res, _ = send(t, cookie, http.MethodGet, gate.URL+"/mcp")
		if res.StatusCode != http.StatusServiceUnavailable && !admitted(res) {
			t.Fatalf("the cookie's caller got %s", res.Status)
		}
		return res.StatusCode == http.StatusServiceUnavailable
	})
	if res.Header.Get("Retry-After") == "" || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("503 with %v; want Retry-After, and the cookie kept", res.Header)
	}
	headersOnce(t, res)
	if who := call(t, session, "whoami", nil); !strings.Contains(who, "bob@") {
		t.Errorf("Bearer, Redis away: %q", who)
	}
	if who := call(t, open(t, token(t, stack.Alice)), "whoami", nil); !strings.Contains(who, "alice@") {
		t.Errorf("a new Bearer, Redis away: %q", who)
	}
	over()
	back := eventually(t, crowded*10*time.Second, "the same cookie let in", func() bool {
		res, _ = send(t, cookie, http.MethodGet, gate.URL+"/mcp")
		return admitted(res)
	})
	t.Logf("503 after %.1f s, in again %.1f s after Redis was back", took.Seconds(), back.Seconds())
}

func TestBridgeAway(t *testing.T) {
	over := outage(t, stack.Bridge)
	c := client(bearer(token(t, stack.Alice)))
	res, body := send(t, c, http.MethodGet, gate.URL+"/mcp")
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "temporarily unavailable") {
		t.Errorf("%s %s, want 503 with the text", res.Status, body)
	}
	headersOnce(t, res)
	if res, body := send(t, c, http.MethodGet, gate.URL+"/health"); res.StatusCode != http.StatusServiceUnavailable ||
		body != "unhealthy\n" {
		t.Errorf("health: %s %q", res.Status, body)
	}
	over()
	if who := call(t, open(t, token(t, stack.Alice)), "whoami", nil); !strings.Contains(who, "alice@") {
		t.Errorf("the bridge is back: %q", who)
	}
}

func TestKeycloakAway(t *testing.T) {
	cookie, bob := signIn(t, stack.Alice), token(t, stack.Bob)
	session := open(t, bob)
	outage(t, stack.Keycloak)
	// Longer than any verdict is remembered.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if res, body := send(t, cookie, http.MethodGet, gate.URL+"/mcp"); !admitted(res) {
			t.Fatalf("the cookie's caller, Keycloak away: %s %s", res.Status, body)
		}
		if who := call(t, session, "whoami", nil); !strings.Contains(who, "bob@") {
			t.Fatalf("Bearer, Keycloak away: %q", who)
		}
	}
	if who := call(t, open(t, bob), "whoami", nil); !strings.Contains(who, "bob@") {
		t.Errorf("a new session, Keycloak away: %q", who)
	}
	res, body := get(t, gate.URL+"/login?return_to=/account", map[string]string{"Accept": "text/html"})
	if res.StatusCode/100 == 2 {
		t.Errorf("login, Keycloak away: %s %s", res.Status, body)
	}
}
