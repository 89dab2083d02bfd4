//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/stack"
)

// person is a user of one test alone, so that what ends for one ends for
// nobody else.
type person struct{ name, id string }

var people atomic.Uint32

// newPerson adds a user with the role mcp-user until the test ends.
func newPerson(t *testing.T) person {
	t.Helper()
	p := person{name: fmt.Sprintf("person-%d", people.Add(1))}
	user := map[string]any{
		"username": p.name, "enabled": true, "email": p.name + "@example.com", "emailVerified": true,
		"firstName": "P", "lastName": "P",
		"credentials": []map[string]any{{"type": "password", "value": stack.Password(p.name), "temporary": false}},
	}
	admin(t, http.MethodPost, "/users", user, nil)
	p.id = idOf(t, "/users?exact=true&username="+p.name)
	t.Cleanup(func() { _ = gate.Admin(context.Background(), http.MethodDelete, "/users/"+p.id, nil, nil) })
	p.grant(t, "mcp-user")
	return p
}

// grant gives the person a role of the realm.
func (p person) grant(t *testing.T, role string) {
	t.Helper()
	var r map[string]any
	admin(t, http.MethodGet, "/roles/"+role, nil, &r)
	admin(t, http.MethodPost, "/users/"+p.id+"/role-mappings/realm", []any{r}, nil)
}

func admin(t *testing.T, method, path string, body, out any) {
	t.Helper()
	if err := gate.Admin(context.WithoutCancel(t.Context()), method, path, body, out); err != nil {
		t.Fatal(err)
	}
}

// idOf is the id of the one thing that a query of the admin API finds.
func idOf(t *testing.T, query string) string {
	t.Helper()
	var found []struct{ ID string }
	admin(t, http.MethodGet, query, nil, &found)
	if len(found) != 1 {
		t.Fatalf("%s finds %d", query, len(found))
	}
	return found[0].ID
}

// notedEvents lets Keycloak keep events of these types too until the test ends.
// Those that the gate lives by stay.
func notedEvents(t *testing.T, types ...string) {
	t.Helper()
	const path = "/events/config"
	var before, now map[string]any
	admin(t, http.MethodGet, path, nil, &before)
	admin(t, http.MethodGet, path, nil, &now)
	for _, one := range types {
		now["enabledEventTypes"] = append(now["enabledEventTypes"].([]any), one)
	}
	admin(t, http.MethodPut, path, now, nil)
	t.Cleanup(func() { admin(t, http.MethodPut, path, before, nil) })
}

// changed sets attributes of a client until the test ends.
func changed(t *testing.T, clientID string, attributes map[string]string) {
	t.Helper()
	path := "/clients/" + idOf(t, "/clients?clientId="+clientID)
	var before, now map[string]any
	admin(t, http.MethodGet, path, nil, &before)
	admin(t, http.MethodGet, path, nil, &now)
	for name, value := range attributes {
		now["attributes"].(map[string]any)[name] = value
		if _, have := before["attributes"].(map[string]any)[name]; !have {
			before["attributes"].(map[string]any)[name] = "" // absent from a PUT would stay
		}
	}
	t.Cleanup(func() { admin(t, http.MethodPut, path, before, nil) })
	admin(t, http.MethodPut, path, now, nil)
}

// stream is an SSE stream that is open.
type stream struct {
	name  string
	ended chan error
}

// openStream opens /sse and waits for its first event.
func openStream(t *testing.T, name string, c *http.Client) stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gate.URL+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	r := bufio.NewReader(res.Body)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "event: endpoint") {
		t.Fatalf("%s: %s, %q, %v", name, res.Status, line, err)
	}
	s := stream{name, make(chan error, 1)}
	go func() {
		_, err := io.Copy(io.Discard, r)
		s.ended <- err
	}()
	return s
}

// wantEnd waits for the stream's end and prints how long it took.
// crowded is for promises that are held here beside all other parts of make test,
// on a machine that may be three times slower; the soak holds them as they are.
// What is not heard of at all takes minutes.
const crowded = 3

func (s stream) wantEnd(t *testing.T, since time.Time, within time.Duration) {
	t.Helper()
	select {
	case err := <-s.ended:
		if errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", s.name, err)
		}
		t.Logf("%s: closed %.1f s after, promised %s", s.name, time.Since(since).Seconds(), within)
	case <-time.After(time.Until(since.Add(crowded * within))):
		t.Errorf("%s is still open after %s", s.name, crowded*within)
	}
}

func (s stream) wantOpen(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.ended:
		t.Errorf("%s was closed: %v", s.name, err)
	default:
	}
}

// refusedSoon waits until the gate lets the client in no longer.
func refusedSoon(t *testing.T, name string, c *http.Client, since time.Time, within time.Duration) {
	t.Helper()
	eventually(t, crowded*within, name+" is refused", func() bool {
		res, _ := send(t, c, http.MethodGet, gate.URL+"/mcp")
		return res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusFound // a browser is sent to sign in
	})
	t.Logf("%s: refused %.1f s after, promised %s", name, time.Since(since).Seconds(), within)
}
