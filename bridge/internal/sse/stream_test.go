package sse_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/session"
)

func TestMethodsOfTheStream(t *testing.T) {
	g := start(t, fronttest.Options{})
	others := []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	for _, method := range others {
		r := g.Do(t, method, "/sse", "{}")
		r.Refused(t, http.StatusMethodNotAllowed, "only GET opens the stream")
		if allow := r.Header.Get("Allow"); allow != "GET, HEAD" {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
	if g.Table.Len() != 0 {
		t.Errorf("%d sessions are open after refusals", g.Table.Len())
	}
}

func TestHeadTellsTheHeadersAndStartsNothing(t *testing.T) {
	g := start(t, fronttest.Options{})
	r := g.Do(t, http.MethodHead, "/sse", "")
	if r.Status != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" || r.Body != "" {
		t.Errorf("HEAD: %d %v %q", r.Status, r.Header, r.Body)
	}
	if open, started := g.Table.Len(), g.Server.Stats.Started.Load(); open != 0 || started != 0 {
		t.Errorf("HEAD opened %d sessions and started %d children", open, started)
	}
}

// TestHeadersComeBeforeAnyChild: open returns with the headers and the endpoint,
// though nothing has been said to a child that never says a word.
func TestHeadersComeBeforeAnyChild(t *testing.T) {
	g := start(t, fronttest.Options{Child: fronttest.Mute})
	c := open(t, g)
	for name, want := range map[string]string{"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"} {
		if got := c.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if started := g.Server.Stats.Started.Load(); started != 0 {
		t.Errorf("%d children run for a client that has said nothing", started)
	}
	if !regexp.MustCompile(`^/message\?sessionId=[a-z2-7]{8}\.[a-z2-7]{26,52}$`).MatchString(c.post) {
		t.Errorf("the endpoint is %q", c.post)
	}
}

func TestTheStreamEndsWithItsClientAndItsClientWithTheStream(t *testing.T) {
	g := start(t, fronttest.Options{})
	left, ended := open(t, g), open(t, g)
	left.send(fronttest.Initialize("2024-11-05"))
	left.Find(`"id":"init"`)
	left.Leave()
	fronttest.Eventually(t, "the session and its child end with the client", func() bool {
		return g.Table.Len() == 1 && g.Server.Stats.Ended.Load() == 1
	})
	g.Do(t, http.MethodPost, left.post, fronttest.Call("1", "echo", "", 0)).
		Refused(t, http.StatusNotFound, "no such session")

	ended.send(fronttest.Call("1", "hang", "", 0))
	s := g.Table.Find(strings.TrimPrefix(ended.post, "/message?sessionId="), g.Server, alice)
	s.End(session.ErrLoginOver)
	if rest := ended.Rest(); len(rest) != 0 {
		t.Errorf("after the session's end came %+v", rest)
	}
	g.Do(t, http.MethodPost, ended.post, "{}").Refused(t, http.StatusNotFound, "no such session")
}

// TestASlowReaderLosesItsStream and nobody else does.
func TestASlowReaderLosesItsStream(t *testing.T) {
	g := start(t, fronttest.Options{Isolation: fleet.Shared, Limits: func(l *session.Limits) { l.Queue = 1 << 20 }})
	deaf, other := open(t, g), open(t, g)
	for i := range 40 { // 40 MB: more than the buffers of both kernels' ends and the queue
		id := string(rune('a' + i%26))
		if r := g.Do(t, http.MethodPost, deaf.post, fronttest.Call(`"`+id+`"`, "big", "", 1<<20)); r.Status == http.StatusNotFound {
			break
		}
	}
	fronttest.Eventually(t, "the deaf client's session ends", func() bool { return g.Table.Len() == 1 })
	other.send(fronttest.Call("7", "echo", "still heard", 0))
	if e := other.Next(); !strings.Contains(e.Data, "still heard") {
		t.Errorf("the other reads %.100s", e.Data)
	}
}

func TestBoundOfSessions(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Sessions, l.SessionsPerUser = 2, 1 }})
	open(t, g)
	refused := func(user string, status int) {
		t.Helper()
		r := g.Do(t, http.MethodGet, "/sse", "", "As", user)
		r.Refused(t, status, "sessions are open")
		if after := r.Header.Get("Retry-After"); after == "" || after == "0" {
			t.Errorf("%s: Retry-After is %q", user, after)
		}
	}
	refused("alice", http.StatusTooManyRequests)
	open(t, g, "As", "bob")
	refused("carol", http.StatusServiceUnavailable)
}
