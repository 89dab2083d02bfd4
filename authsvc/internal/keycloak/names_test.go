package keycloak_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/authsvc/internal/keycloak"
)

// A client that has no name, that is gone, or that Keycloak does not tell of is
// shown by its id, and not asked for again with each page.
func TestAClientWithoutANameIsAskedForOnceAMinute(t *testing.T) {
	for what, answer := range map[string]any{
		"without a name": []object{{"name": ""}}, "gone": []object{}, "forbidden": http.StatusForbidden,
		"a fault": http.StatusInternalServerError,
	} {
		r := &realm{answers: map[string]any{"GET /clients": answer}}
		server := httptest.NewServer(r)
		defer server.Close()
		clock := time.Unix(1e9, 0)
		a := keycloak.New(server.URL+"/realms/gatehouse", "mcp-gateway", func() string { return "secret" },
			func() time.Time { return clock })
		for range 3 {
			if name := a.ClientName(t.Context(), "editor"); name != "editor" {
				t.Errorf("%s: it is called %q, want its id", what, name)
			}
		}
		if len(r.asked) != 1 {
			t.Errorf("%s: three looks asked %d times", what, len(r.asked))
		}
		clock = clock.Add(time.Minute)
		r.answers["GET /clients"] = []object{{"name": "An editor"}}
		for range 2 {
			if name := a.ClientName(t.Context(), "editor"); name != "An editor" {
				t.Errorf("%s: it has a name now and is called %q", what, name)
			}
		}
		if len(r.asked) != 2 {
			t.Errorf("%s: asked %d times", what, len(r.asked))
		}
	}
}

// Who stops waiting has learnt nothing of the client.
func TestANameThatWasNotWaitedForIsAskedAgain(t *testing.T) {
	a, _ := start(t, map[string]any{"GET /clients": []object{{"name": "An editor"}}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if name := a.ClientName(gone, "editor"); name != "editor" {
		t.Errorf("nobody waits, and it is called %q", name)
	}
	if name := a.ClientName(t.Context(), "editor"); name != "An editor" {
		t.Errorf("it is called %q", name)
	}
}

// Where the token endpoint hangs each caller waits as long as it wants to, and
// not until those before it have given up.
func TestNobodyQueuesForATokenThatDoesNotCome(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		close(asked) // one call for all: a second would panic
		<-release
	}))
	defer server.Close()
	defer close(release)
	a := keycloak.New(server.URL+"/realms/gatehouse", "mcp-gateway", func() string { return "secret" }, time.Now)
	patient := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(patient); a.ClientName(ctx, "editor") }()
	<-asked
	returned := make(chan struct{})
	gone, leave := context.WithCancel(t.Context())
	leave()
	go func() { defer close(returned); a.ClientName(gone, "another") }()
	select {
	case <-returned:
	case <-time.After(5 * time.Second): // a call is given up after 8 s
		t.Error("who does not want to wait waits behind who does")
	}
	cancel()
	<-patient
}
