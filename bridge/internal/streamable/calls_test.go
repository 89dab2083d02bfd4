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
	"gatehouse/bridge/internal/streamable"
)

// TestAnAnswerThatComesFirstIsPlainJSON, with the id byte for byte.
func TestAnAnswerThatComesFirstIsPlainJSON(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	for _, id := range []string{`1.50`, `"\u0041"`, `-0`, `12345678901234567890`} {
		r := c.post(fronttest.Call(id, "echo", "x", 0))
		if want := `{"jsonrpc":"2.0","id":` + id + `,"result":{"content":[{"type":"text","text":"x"}]}}`; r.Status != http.StatusOK ||
			r.Body != want ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
		}
	}
	r := c.post(`{"jsonrpc":"2.0","id":1,"method":"vendor/unknown"}`)
	if r.Status != http.StatusOK || !strings.Contains(r.Body, "the child knows no such method") {
		t.Errorf("an unknown method: %d %s", r.Status, r.Body)
	}
}

func TestWhatComesBeforeAnAnswerMakesItAStream(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s := c.stream(fronttest.Call(`"a"`, "progress", "p", 2))
	if s.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", s.Header)
	}
	all := s.Rest()
	if len(all) != 3 {
		t.Fatalf("the stream told %+v", all)
	}
	ids := map[string]bool{}
	for i, want := range []string{`"progressToken":"a","progress":0`, `"progressToken":"a","progress":1`, `"id":"a","result"`} {
		if all[i].Name != "message" || !strings.Contains(all[i].Data, want) || all[i].ID == "" || ids[all[i].ID] {
			t.Errorf("event %d is %+v, want %s and an id of its own", i, all[i], want)
		}
		ids[all[i].ID] = true
	}
}

func TestAQuestionOfTheChildAndItsAnswer(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s := c.stream(fronttest.Call("1", "ask", "who?", 0))
	if e := s.Next(); !strings.Contains(e.Data, `"id":"question","method":"elicitation/create"`) {
		t.Fatalf("the child asked %+v", e)
	}
	c.takes(`{"jsonrpc":"2.0","id":"question","result":{"action":"decline"}}`)
	if rest := s.Rest(); len(rest) != 1 || !strings.Contains(rest[0].Data, "decline") {
		t.Errorf("the call ended with %+v", rest)
	}
}

// TestASecondCallWithAnIdInFlightIsRefused, and the first has its own answer: a
// client that forked its conversation counts its ids twice.
func TestASecondCallWithAnIdInFlightIsRefused(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	s := c.stream(fronttest.Call("7", "ask", "first", 0))
	s.Next()
	c.post(fronttest.Call("7", "echo", "second", 0)).Refused(t, http.StatusOK, "a call with this id is in flight")
	c.takes(`{"jsonrpc":"2.0","id":"question","result":{"action":"accept"}}`)
	if rest := s.Rest(); len(rest) != 1 || !strings.Contains(rest[0].Data, `"id":7,"result"`) ||
		!strings.Contains(rest[0].Data, "accept") {
		t.Errorf("the first call is answered %+v", rest)
	}
}

func TestACallThatIsCancelledAnswers(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	s := c.stream(fronttest.Call("1", "half", "", 0))
	s.Next()
	c.takes(cancel)
	if rest := s.Rest(); len(rest) != 0 { // the client wants no answer
		t.Errorf("the stream told %+v", rest)
	}
	waits := make(chan fronttest.Reply, 1)
	go func() { waits <- c.post(fronttest.Call("1", "hang", "", 0)) }()
	c.awaitHanging()
	c.takes(cancel)
	(<-waits).Refused(t, http.StatusOK, `"id":1,"error":{"code":-32000,"message":"cancelled by the client"`)
}

// TestACallWhoseClientGoesIsCancelledAtTheChild after its grace, which here is
// nothing, and not before.
func TestACallWhoseClientGoesIsCancelledAtTheChild(t *testing.T) {
	noticed := make(chan struct{}, 10) // by the front, which is done with who went away
	patient := fronttest.Start(t, fronttest.Options{}, func(g *fronttest.Gate) http.Handler {
		front := &streamable.Front{Table: g.Table, Server: g.Server, Open: &g.Open, Body: g.Body, Grace: time.Hour}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			front.ServeHTTP(w, r)
			if r.Context().Err() != nil {
				noticed <- struct{}{}
			}
		})
	})
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	vanishes(t, c)
	fronttest.Eventually(t, "the child is told", func() bool {
		return strings.Contains(c.post(fronttest.Call("2", "told", "", 0)).Body, "notifications/cancelled")
	})
	p := open(t, patient, "2025-06-18")
	vanishes(t, p)
	select {
	case <-noticed:
	case <-time.After(fronttest.Patience):
		t.Fatal("the front does not notice that its client went away")
	}
	for id := range 5 { // what is on its way to the child comes before the last of these
		told := p.post(fronttest.Call(fmt.Sprint(2+id), "told", "", 0)).Body
		if !strings.Contains(told, "hanging") || strings.Contains(told, "cancelled") {
			t.Errorf("the child has heard %s", told)
		}
	}
}

// vanishes makes a call that hangs at the child, and goes away.
func vanishes(t *testing.T, c *client) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := http.DefaultClient.Do(c.g.Request(ctx, http.MethodPost, "/", fronttest.Call("1", "hang", "", 0), c.headers...)); err == nil {
			_ = res.Body.Close()
		}
	}()
	c.awaitHanging()
	leave()
	<-gone
}

func TestAChildThatDiesAnswers(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	half := c.stream(fronttest.Call("1", "half", "", 0))
	half.Next()
	c.post(fronttest.Call("2", "die", "last words", 0)).
		Refused(t, http.StatusOK, `"id":2,"error":{"code":-32603,"message":"the server ended: exit status 3; the call may have run","data":{"stderr":"last words"}}`)
	if rest := half.Rest(); len(rest) != 1 || !strings.Contains(rest[0].Data, `"id":1,"error":{"code":-32603`) {
		t.Errorf("the stream ended with %+v", rest)
	}
	if r := c.post(fronttest.Call("3", "told", "", 0)); !strings.Contains(r.Body, `"text":"notifications/initialized"`) {
		t.Errorf("the next child has heard %s", r.Body)
	}
}

func TestBoundOfCalls(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Calls = 1 }})
	c := open(t, g, "2025-06-18")
	s := c.stream(fronttest.Call("1", "half", "", 0))
	s.Next()
	r := c.post(fronttest.Call("2", "echo", "", 0))
	r.Refused(t, http.StatusTooManyRequests, `"id":2,"error":{"code":-32000,"message":"1 calls are in flight`)
	if r.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", r.Header.Get("Retry-After"))
	}
	// It is a bound of each session, not of all.
	if r := open(t, g, "2025-06-18").post(fronttest.Call("1", "echo", "x", 0)); r.Status != http.StatusOK {
		t.Errorf("another session: %d %s", r.Status, r.Body)
	}
}
