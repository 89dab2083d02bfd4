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

// A client that registered itself has no back-channel: the gate hears of what
// ends it at Keycloak all the same.
func TestConsoleEndsRegisteredClients(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, person, ownClient){
		"sign out of all sessions": func(t *testing.T, who person, _ ownClient) {
			admin(t, http.MethodPost, "/users/"+who.id+"/logout", nil, nil)
		},
		"the user is disabled": func(t *testing.T, who person, _ ownClient) {
			admin(t, http.MethodPut, "/users/"+who.id, map[string]any{"enabled": false}, nil)
		},
		"the consent is taken back": func(t *testing.T, who person, cli ownClient) {
			admin(t, http.MethodDelete, "/users/"+who.id+"/consents/"+cli.id, nil, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who, other := newPerson(t), newPerson(t)
			cli := registered(t, who.name, "mcp.access")
			c, stays := client(bearer(cli.tokens.Access)), client(bearer(token(t, other.name)))
			s := openStream(t, "the client's stream", c)
			keeps := openStream(t, "a bystander's stream", stays)
			begin := time.Now()
			end(t, who, cli)
			refusedSoon(t, name+": the client", c, begin, streamPromise)
			if !strings.Contains(name, "consent") { // a stream knows its sign-in, not its client
				s.wantEnd(t, begin, streamPromise+2*time.Second)
			}
			keeps.wantOpen(t)
		})
	}
}

// What an administrator of the gate revokes, Keycloak does not renew: not the
// client's offline session either. By the user's name as well.
func TestNativeRevocationBindsOfflineSessions(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	cli := registered(t, who.name, "mcp.access offline_access")
	browser := signIn(t, who.name)
	if _, err := cli.refresh(t.Context(), cli.tokens.Refresh); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/internal/sessions/revoke", gate.Ports.AuthsvcInternal),
		"application/json", bytes.NewReader(fmt.Appendf(nil, `{"user":%q}`, who.name)))
	if err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
	if next, err := cli.refresh(t.Context(), cli.tokens.Refresh); err == nil {
		t.Errorf("Keycloak still renews after the revocation: %s", next.Scope)
	}
	t.Logf("Keycloak renews no more after %.1f s", time.Since(begin).Seconds())
	refusedSoon(t, "the client", client(bearer(cli.tokens.Access)), begin, streamPromise)
	refusedSoon(t, "the browser", browser, begin, streamPromise)
}

// Sign out everywhere: the provider's session has ended too, so that the next
// sign-in asks for the password.
func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	c := signIn(t, who.name)
	if res, body := send(t, withHeader(c, "Sec-Fetch-Site", "same-origin"), http.MethodPost,
		gate.URL+"/account/everywhere/end"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %s", res.Status, body)
	}
	again := *c
	again.CheckRedirect = nil
	page, err := again.Get(gate.URL + "/login?return_to=/account")
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, page); !strings.Contains(body, `name="password"`) {
		t.Errorf("signed in again without a password: %s at %s", page.Status, page.Request.URL)
	}
}

// The gate reads endings from the oldest on, so that of many none is left out:
// Keycloak has the newest first where it is not asked for the other way round.
func TestKeycloakTellsTheOldestFirst(t *testing.T) {
	t.Parallel()
	begin := time.Now().Add(-time.Minute).UnixMilli()
	for range 3 { // each another: who signs in within 2 s of an ending may have to do so again
		who := newPerson(t)
		signOutAtKeycloak(t, signIn(t, who.name))
		admin(t, http.MethodPost, "/users/"+who.id+"/logout", nil, nil)
	}
	for _, kind := range []string{"/admin-events?operationTypes=ACTION", "/events?type=LOGOUT&type=LOGIN"} {
		var events []struct{ Time int64 }
		admin(t, http.MethodGet, fmt.Sprintf("%s&dateFrom=%d&direction=asc&first=0&max=500", kind, begin), nil, &events)
		for i := 1; i < len(events); i++ {
			if events[i].Time < events[i-1].Time {
				t.Fatalf("%s: %d comes after %d", kind, events[i].Time, events[i-1].Time)
			}
		}
		if len(events) < 3 || events[0].Time >= events[len(events)-1].Time {
			t.Errorf("%s: %d events, which tell no order", kind, len(events))
		}
	}
}

// signOutAtKeycloak presses the button and goes where it leads: to Keycloak, which
// ends its own session, and back.
func signOutAtKeycloak(t *testing.T, c *http.Client) {
	t.Helper()
	browser := withHeader(c, "Sec-Fetch-Site", "same-origin")
	browser.CheckRedirect = nil
	res, body := send(t, browser, http.MethodPost, gate.URL+"/logout")
	if at := res.Request.URL.String(); res.StatusCode != http.StatusOK || !strings.HasPrefix(at, gate.URL+"/logout") {
		t.Fatalf("signed out: %s at %s: %s", res.Status, at, body)
	}
}
