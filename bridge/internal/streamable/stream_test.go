package streamable_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/session"
)

// standing opens the session's own stream, past what the child said before.
func (c *client) standing() *fronttest.Stream {
	c.t.Helper()
	s := c.listen()
	s.Find("before initialize is answered")
	return s
}

func TestTheStandingStreamTellsWhatBelongsToNoCall(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s := c.standing()
	if s.Header.Get("X-Accel-Buffering") != "no" || s.Header.Get("Cache-Control") != "no-cache, no-transform" {
		t.Errorf("headers %v", s.Header)
	}
	if r := c.post(fronttest.Call("1", "later", "word", 2)); !strings.Contains(r.Body, "soon") {
		t.Fatalf("the call: %s", r.Body)
	}
	for _, want := range []string{`"word 0"`, `"word 1"`} {
		if e := s.Next(); e.Name != "message" || !strings.Contains(e.Data, want) || e.ID == "" {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	c.post(fronttest.Call("2", "echo", "x", 0)) // an answer never comes here
	c.post(fronttest.Call("3", "later", "end", 1))
	if e := s.Next(); !strings.Contains(e.Data, "end 0") {
		t.Errorf("%+v, want the next line", e)
	}
}

// TestASilentStreamBeginsAtOnce, with a byte of its body: without one nginx keeps
// the headers from a client of HTTP/2.
func TestASilentStreamBeginsAtOnce(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	c.standing().Leave()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // before the first keepalive
	defer cancel()
	res, err := http.DefaultClient.Do(c.g.Request(ctx, http.MethodGet, "/", "", c.headers...))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var first [1]byte
	if _, err := res.Body.Read(first[:]); err != nil || first[0] != ':' {
		t.Errorf("%q, %v, want a comment", first, err)
	}
}

// TestWhatBelongsToNoCallDoesNotComeToOne while somebody listens.
func TestWhatBelongsToNoCallDoesNotComeToOne(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s, half := c.standing(), c.stream(fronttest.Call("1", "half", "", 0))
	half.Next()
	c.post(fronttest.Call("2", "later", "for the listener", 1))
	s.Find("for the listener 0")
}

// TestTheLastListenerWins: one whose connection broke is not locked out.
func TestTheLastListenerWins(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	first := c.standing()
	second := c.listen()
	if rest := first.Rest(); len(rest) != 0 {
		t.Errorf("the first was told %+v", rest)
	}
	c.post(fronttest.Call("1", "later", "for the second", 1))
	second.Find("for the second 0")
}

// TestAListenerThatReturnsHearsWhatItMissed, said while nobody listened or told
// to the one before it.
func TestAListenerThatReturnsHearsWhatItMissed(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s := c.standing()
	c.post(fronttest.Call("1", "later", "early", 3))
	last := s.Find("early 0").ID
	s.Find("early 2")
	s.Leave()
	c.post(fronttest.Call("2", "later", "late", 1))
	again := c.listen("Last-Event-ID", last)
	for _, want := range []string{"early 1", "early 2", "late 0"} {
		if e := again.Next(); !strings.Contains(e.Data, want) {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}

// broken starts a call of n events and an answer, and leaves after the first.
func (c *client) broken(text string, n int) (last string) {
	c.t.Helper()
	s := c.stream(fronttest.Call(`"b"`, "progress", text, n))
	last = s.Next().ID
	s.Leave()
	return last
}

func TestACallsStreamIsResumed(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	last := c.broken("p", 3)
	for range 2 { // it is kept for a second return
		all := c.listen("Last-Event-ID", last).Rest()
		if len(all) != 3 || !strings.Contains(all[0].Data, `"progress":1`) || !strings.Contains(all[2].Data, `"done"`) {
			t.Fatalf("after %s came %+v", last, all)
		}
		if rest := c.listen("Last-Event-ID", all[2].ID).Rest(); len(rest) != 0 {
			t.Errorf("after the answer came %+v", rest)
		}
	}
}

// TestAGapPastTheReplayBuffer: what is kept is told; where the answer itself is
// not kept, that is said, for a client would wait for it without end.
func TestAGapPastTheReplayBuffer(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Replay = 1000 }})
	c := open(t, g, "2025-06-18")
	last := c.broken(strings.Repeat("x", 200), 50)
	all := c.listen("Last-Event-ID", last).Rest() // the first return: from the buffer, then from the child
	if len(all) == 0 || !strings.Contains(all[len(all)-1].Data, `"done"`) {
		t.Fatalf("came %d events", len(all))
	}
	again := c.listen("Last-Event-ID", last).Rest()
	if len(again) == 0 || len(again) > 4 || again[len(again)-1] != all[len(all)-1] {
		t.Errorf("of 1000 bytes came %d events, the last %+v", len(again), again[max(0, len(again)-1):])
	}
	c.listen("Last-Event-ID", c.broken(strings.Repeat("y", 200), 50)).Rest() // fills the buffer
	c.do(http.MethodGet, "", "Last-Event-ID", last).Refused(t, http.StatusBadRequest, "not kept any more")
}

func TestHostileEventIDs(t *testing.T) {
	g := start(t, fronttest.Options{})
	c, other := open(t, g, "2025-06-18"), open(t, g, "2025-06-18", "As", "bob")
	last := c.broken("p", 1)
	for _, id := range []string{"-", "0", "-1", "0-", "0--1", "0-x", "0-1-1", "0-99999999999999999999", "7-1", "%", "../0-1", strings.Repeat("9", 60000), " "} {
		if id == " " { // an empty header is none
			c.listen("Last-Event-ID", id).Leave()
			continue
		}
		c.do(http.MethodGet, "", "Last-Event-ID", id).Refused(t, http.StatusBadRequest, "names no stream of this session")
	}
	// The ids of one session mean nothing in another.
	other.do(http.MethodGet, "", "Last-Event-ID", last).
		Refused(t, http.StatusBadRequest, "names no stream of this session")
}

// TestASlowListenerIsCut, the child goes on, and the listener may come back.
func TestASlowListenerIsCut(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Queue = 64 << 10 }})
	c := open(t, g, "2025-06-18")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &http.Client{Transport: &http.Transport{ReadBufferSize: 1}}
	defer client.CloseIdleConnections()
	res, err := client.Do(g.Request(ctx, http.MethodGet, "/", "", c.headers...))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	c.post(fronttest.Call("1", "loud", "", 24<<20)) // more than both ends' buffers take: the write waits
	c.awaitSilence()
	gone := make(chan struct{})
	go func() { g.Open.Wait(); close(gone) }()
	select {
	case <-gone: // long before the minute that a write may take
	case <-time.After(fronttest.Patience):
		t.Fatal("the front still writes to the listener")
	}
	s := c.listen()
	c.post(fronttest.Call("3", "later", "afterwards", 1))
	s.Find("afterwards 0")
}

// TestABurstIsNotTheEndOfTheSession: more than may wait came before the front
// took any of it.
func TestABurstIsNotTheEndOfTheSession(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Queue = 2 << 10 }})
	c := open(t, g, "2025-06-18")
	for n := range 50 {
		r, err := g.Try(
			http.MethodPost,
			"/",
			fronttest.Call(fmt.Sprint(n), "progress", strings.Repeat("z", 1<<10), 50),
			c.headers...)
		if err == nil && r.Status == http.StatusNotFound {
			t.Fatalf("%d: %s", n, r.Body)
		}
	}
}

// TestAnAnswerThatASlowReaderLostIsNotWaitedFor: the reader is cut before the
// answer comes, which therefore never will, and is told so when it returns.
func TestAnAnswerThatASlowReaderLostIsNotWaitedFor(t *testing.T) {
	g := start(
		t,
		fronttest.Options{Limits: func(l *session.Limits) { l.Queue = 1 << 20 }},
	) // what comes before the stream begins fits
	c := open(t, g, "2025-06-18")
	s := c.stream(fronttest.Call(`"b"`, "progress", strings.Repeat("z", 4<<10), 6000)) // more than both ends' buffers take
	last := s.Next().ID
	c.awaitSilence()
	c.do(http.MethodGet, "", "Last-Event-ID", last).Refused(t, http.StatusBadRequest, "not kept any more")
}

// TestWordsThatNobodyHearsDoNotDeafenALaterListener: more was said than may
// wait, then somebody listens.
func TestWordsThatNobodyHearsDoNotDeafenALaterListener(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Queue = 1000 }})
	c := open(t, g, "2025-06-18")
	c.post(fronttest.Call("1", "later", "unheard", 100))
	c.awaitSilence()
	s := c.listen()
	c.post(fronttest.Call("3", "later", "heard", 1))
	s.Find("heard 0")
}

// TestACallGoesOnWhoseStreamBroke: it is not cancelled, what it says is kept,
// and its client hears it at its return, the answer too.
func TestACallGoesOnWhoseStreamBroke(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s := c.stream(fronttest.Call("1", "ask", "who?", 0))
	last := s.Next().ID
	s.Leave()
	c.takes(`{"jsonrpc":"2.0","id":"question","result":{"action":"accept"}}`) // on another connection
	fronttest.Eventually(t, "the child has the answer", func() bool {
		return strings.Contains(c.post(fronttest.Call(`"t"`, "told", "", 0)).Body, "answered")
	})
	all := c.listen("Last-Event-ID", last).Rest()
	if len(all) != 1 || !strings.Contains(all[0].Data, `"id":1,"result"`) || !strings.Contains(all[0].Data, "accept") {
		t.Errorf("at its return the client is told %+v", all)
	}
	if told := c.post(fronttest.Call(`"u"`, "told", "", 0)).Body; strings.Contains(told, "cancelled") {
		t.Errorf("the child has heard %s", told)
	}
}

// TestAStreamBeginsWithAnEventID in the version that has such, so that a client
// which loses it at once can come back.
func TestAStreamBeginsWithAnEventID(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g, "2025-11-25")
	s := c.stream(fronttest.Call("1", "progress", "p", 2))
	first := s.Next()
	if first.ID == "" || first.Data != "" {
		t.Fatalf("the stream begins with %+v", first)
	}
	s.Leave()
	if all := c.listen("Last-Event-ID", first.ID).Rest(); len(all) != 3 || !strings.Contains(all[2].Data, "done") {
		t.Errorf("from there the client is told %+v", all)
	}
	if e := open(t, g, "2025-06-18").stream(fronttest.Call("1", "progress", "p", 1)).Next(); e.Data == "" {
		t.Errorf("an older stream begins with %+v", e)
	}
}
