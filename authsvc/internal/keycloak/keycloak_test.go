package keycloak_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authsvc/internal/keycloak"
)

// realm answers as Keycloak's admin API does, where a test says what.
type realm struct {
	mu      sync.Mutex
	answers map[string]any // "GET /users": JSON; nil is 204, an int a status
	asked   []string
	forgets int // answers that refuse the token, before one that takes it
}

func (r *realm) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path == "/realms/gatehouse/protocol/openid-connect/token" {
		// {"sub": "the-gate"}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "e30.eyJzdWIiOiJ0aGUtZ2F0ZSJ9.e30", "expires_in": 60})
		return
	}
	if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.forgets > 0 {
		r.forgets--
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	what := req.Method + " " + strings.TrimPrefix(req.URL.Path, "/admin/realms/gatehouse")
	r.asked = append(r.asked, what)
	answer, known := r.answers[what]
	switch status, isStatus := answer.(int); {
	case !known:
		w.WriteHeader(http.StatusNotFound)
	case isStatus:
		w.WriteHeader(status)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func start(t *testing.T, answers map[string]any) (*keycloak.Admin, *realm) {
	t.Helper()
	r := &realm{answers: answers}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return keycloak.New(server.URL+"/realms/gatehouse", "mcp-gateway", func() string { return "secret" }, time.Now), r
}

type object = map[string]any

func TestEndUserEndsWhatRenewsWithoutASession(t *testing.T) {
	a, r := start(t, map[string]any{
		"POST /users/alice/logout": nil,
		"GET /users/alice/consents": []object{
			{"clientId": "cli", "additionalGrants": []object{{"client": "x", "key": "Offline Token"}}},
			{"clientId": "editor", "additionalGrants": []object{}},
		},
		"DELETE /users/alice/consents/cli": nil,
	})
	if err := a.EndUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(r.asked, "DELETE /users/alice/consents/cli") ||
		slices.Contains(r.asked, "DELETE /users/alice/consents/editor") {
		t.Errorf("asked %q", r.asked)
	}
}

// Nothing that a form names makes another path of a path.
func TestDotsNameNobody(t *testing.T) {
	a, r := start(t, nil)
	for _, dots := range []string{"..", ".", ""} {
		if err := a.EndClient(t.Context(), "alice", dots); err != nil {
			t.Errorf("the client %q: %v", dots, err)
		}
		if err := a.EndClient(t.Context(), dots, "editor"); err != nil {
			t.Errorf("the person %q: %v", dots, err)
		}
		if err := a.EndUser(t.Context(), dots); err != nil {
			t.Errorf("all of %q: %v", dots, err)
		}
		if err := a.EndSession(t.Context(), dots); err != nil {
			t.Errorf("the session %q: %v", dots, err)
		}
	}
	if len(r.asked) > 0 {
		t.Errorf("asked %q", r.asked)
	}
}

// Keycloak forgets a token before its time where its keys are changed or all are
// signed out. The next question gets a new one, and nobody waits for it.
func TestATokenThatKeycloakForgotIsReplaced(t *testing.T) {
	a, r := start(t, map[string]any{"GET /clients": []object{{"name": "An editor"}}})
	r.forgets = 1
	if name := a.ClientName(t.Context(), "editor"); name != "An editor" {
		t.Errorf("the client is called %q", name)
	}
	r.forgets = 2
	if err := a.EndClient(t.Context(), "alice", "editor"); !errors.Is(err, keycloak.ErrForbidden) {
		t.Errorf("%v, want ErrForbidden after one more try", err)
	}
}

func TestEventsThatAreNotSavedAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		config object
		want   string
	}{
		"all of them by default": {object{"eventsEnabled": true, "adminEventsEnabled": true, "enabledEventTypes": []string{}}, ""},
		"those": {
			object{"eventsEnabled": true, "adminEventsEnabled": true, "enabledEventTypes": []string{"LOGOUT", "REVOKE_GRANT"}}, "",
		},
		"not one of them": {
			object{"eventsEnabled": true, "adminEventsEnabled": true, "enabledEventTypes": []string{"LOGIN", "LOGOUT"}},
			"user event REVOKE_GRANT (",
		},
		"none": {object{}, "user event LOGOUT, user event REVOKE_GRANT, admin events"},
	} {
		a, _ := start(t, map[string]any{"GET /events/config": c.config})
		err := a.Saved(t.Context())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestAMissingRoleIsNamed(t *testing.T) {
	a, _ := start(t, map[string]any{"POST /users/alice/logout": 403, "GET /users/alice/consents": []object{}})
	if err := a.EndUser(t.Context(), "alice"); !errors.Is(err, keycloak.ErrForbidden) ||
		!strings.Contains(err.Error(), "manage-users") {
		t.Errorf("EndUser = %v", err)
	}
}

// What others ended is told, what the gate itself ended is not, and a change of
// a user who may still sign in ends nothing.
func TestEndings(t *testing.T) {
	at := time.Now().UnixMilli()
	act := func(id, operation, path, by string) object {
		return object{
			"id":            id,
			"time":          at,
			"operationType": operation,
			"resourcePath":  path,
			"authDetails":   object{"userId": by},
		}
	}
	a, _ := start(t, map[string]any{
		"GET /events": []object{{"id": "e1", "time": at, "type": "LOGOUT", "userId": "alice", "sessionId": "s1"}},
		"GET /admin-events": []object{
			act("a1", "ACTION", "users/bob/logout", "root"), act("a2", "DELETE", "sessions/s2", "root"),
			act("a3", "ACTION", "users/carol/logout", "the-gate"), act("a4", "UPDATE", "users/dave", "root"),
			act("a5", "UPDATE", "users/erin", "root"), act("a6", "ACTION", "users/bob/consents/cli", "root"),
			act(
				"a7",
				"UPDATE",
				"clients/x",
				"root",
			), act("a8", "DELETE", "users/frank", "root"), act("known", "DELETE", "sessions/s3", "root"),
		},
		"GET /users/dave": object{"enabled": false}, "GET /users/erin": object{"enabled": true},
	})
	found, until, err := a.Endings(t.Context(), time.Now().Add(-time.Minute), func(id string) bool { return id == "known" })
	if err != nil || !until.IsZero() {
		t.Fatalf("until %s, %v", until, err)
	}
	got := map[string]string{}
	for _, e := range found {
		got[e.ID] = e.SID + "|" + e.Subject + "|" + e.Client
	}
	want := map[string]string{
		"e1": "s1|alice|", "a1": "|bob|", "a2": "s2||", "a4": "|dave|", "a5": "||", "a6": "|bob|cli", "a8": "|frank|",
	}
	for id, text := range want {
		if got[id] != text {
			t.Errorf("event %s = %q, want %q", id, got[id], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %v", got)
	}
}

func TestFindOnePerson(t *testing.T) {
	a, _ := start(t, map[string]any{"GET /users": []object{{"id": "alice-id"}}})
	if id, err := a.Find(t.Context(), "alice@example.com"); err != nil || id != "alice-id" {
		t.Errorf("Find = %q, %v", id, err)
	}
	a, _ = start(t, map[string]any{"GET /users": []object{{"id": "a"}, {"id": "b"}}})
	if _, err := a.Find(t.Context(), "alice"); !errors.Is(err, keycloak.ErrNobody) {
		t.Errorf("two of them: %v", err)
	}
}

// TestEndingsOfManyAreReadInParts: none is left out, be it of a realm in which
// most events are known already.
func TestEndingsOfManyAreReadInParts(t *testing.T) {
	const many = 1234
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var page []object
		switch q := r.URL.Query(); {
		case strings.HasSuffix(r.URL.Path, "/token"):
			_ = json.NewEncoder(w).Encode(object{"access_token": "e30.eyJzdWIiOiJ0aGUtZ2F0ZSJ9.e30", "expires_in": 60})
			return
		case strings.HasSuffix(r.URL.Path, "/admin-events"):
		case q.Get("direction") == "asc":
			first, _ := strconv.Atoi(q.Get("first"))
			most, _ := strconv.Atoi(q.Get("max"))
			for n := first; n < min(first+most, many); n++ {
				page = append(page, object{"id": fmt.Sprint(n), "time": 1e12 + n, "type": "LOGOUT", "sessionId": "s", "userId": "u"})
			}
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer server.Close()
	a := keycloak.New(server.URL+"/realms/gatehouse", "mcp-gateway", func() string { return "secret" }, time.Now)
	seen := map[string]bool{}
	for looks := 1; ; looks++ {
		found, until, err := a.Endings(t.Context(), time.UnixMilli(1e12), func(id string) bool { return seen[id] })
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			if seen[e.ID] {
				t.Errorf("%s is told twice", e.ID)
			}
			seen[e.ID] = true
		}
		if until.IsZero() {
			break
		}
		if last := found[len(found)-1].Time; until != last || looks > many {
			t.Fatalf("read until %s, the last is of %s", until, last)
		}
	}
	if len(seen) != many {
		t.Errorf("%d of %d are told", len(seen), many)
	}
}
