package streamable_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/session"
)

const note = `{"jsonrpc":"2.0","method":"notifications/x"}`

func batch(messages ...string) string { return "[" + strings.Join(messages, ",\n") + "]" }

func TestABatchIsAnsweredOnOneStream(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-03-26")
	s := c.stream(batch(
		fronttest.Call("1", "echo", "one", 0),
		note,
		fronttest.Call("2", "progress", "p", 1),
		fronttest.Call(`"3"`, "told", "", 0),
		`{"jsonrpc":"2.0","id":"nobody asked","result":{}}`,
	))
	all := s.Rest()
	if len(all) != 4 {
		t.Fatalf("the stream told %+v, want three answers and a progress", all)
	}
	for i, want := range []string{`"one"`, `"progressToken":2`, `"id":2,"result"`, `"id":"3","result":{"content":[{"type":"text","text":"notifications/initialized notifications/x"`} {
		if !strings.Contains(all[i].Data, want) || all[i].ID == "" {
			t.Errorf("event %d is %+v, want %s", i, all[i], want)
		}
	}
}

// TestEachCallOfABatchIsAnswered, those that are refused too.
func TestEachCallOfABatchIsAnswered(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Calls = 2 }})
	c := open(t, g, "2025-03-26")
	hung := c.stream(fronttest.Call(`"h"`, "half", "", 0))
	hung.Next()
	s := c.stream(
		batch(fronttest.Call("1", "half", "", 0), fronttest.Call("2", "echo", "", 0), fronttest.Call(`"h"`, "echo", "", 0)),
	)
	first := s.Next().Data + s.Next().Data + s.Next().Data // in any order
	for _, want := range []string{`"progressToken":1`, `"id":2,"error":{"code":-32000,"message":"2 calls are in flight`, `"id":null,"error":{"code":-32600`} {
		if !strings.Contains(first, want) {
			t.Errorf("the stream began with %s, want %s", first, want)
		}
	}
	c.takes(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if rest := s.Rest(); len(rest) != 0 {
		t.Errorf("after the last answer came %+v", rest)
	}
	both := c.stream(batch(fronttest.Call("5", "half", "", 0), fronttest.Call("5", "echo", "b", 0)))
	told := both.Next().Data + both.Next().Data // in any order
	if !strings.Contains(told, `"progressToken":5`) ||
		!strings.Contains(told, `"id":null,"error":{"code":-32600,"message":"a call with this id`) {
		t.Errorf("two calls with one id are answered %s", told)
	}
}

// TestHeadersOfABatchComeAtOnce: stream returns with them.
func TestHeadersOfABatchComeAtOnce(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-03-26")
	c.stream(batch(fronttest.Call("1", "hang", "", 0))).Leave()
}

func TestABatchWithoutCallsIsTaken(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-03-26")
	c.takes(batch(note, `{"jsonrpc":"2.0","id":"nobody asked","result":{}}`, note))
	if r := c.post(fronttest.Call("1", "told", "", 0)); !strings.Contains(r.Body, `notifications/x notifications/x"`) {
		t.Errorf("the child has heard %s", r.Body)
	}
}

func TestBatchesThatAreRefused(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Batch = 3 }})
	c := open(t, g, "2025-03-26")
	for name, tc := range map[string]struct{ body, says string }{
		"empty":              {" [ ] ", "the batch is empty"},
		"over the bound":     {batch(note, note, note, note), "more than 3 messages"},
		"with initialize":    {batch(note, fronttest.Initialize("2025-03-26")), "initialize must not be part"},
		"with no message":    {batch(note, "5"), "not a JSON-RPC message"},
		"with another batch": {batch(note, batch(note)), "a batch"},
		"without its end":    {"[" + note, "not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) { c.post(tc.body).Refused(t, http.StatusBadRequest, tc.says) })
	}
	if r := c.post(fronttest.Call("1", "told", "", 0)); strings.Contains(r.Body, "notifications/x") {
		t.Errorf("of a batch that was refused the child has heard %s", r.Body)
	}
	c.takes(batch(note, note, note))
	for _, version := range []string{"2025-06-18", "2025-11-25"} {
		open(t, g, version).post(batch(note)).Refused(t, http.StatusBadRequest, "only 2025-03-26 has batches")
	}
}
