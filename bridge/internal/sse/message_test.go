package sse_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

var alice = &contract.Identity{Subject: "alice"}

func TestAnswersComeOnTheStream(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}))
	c.send(fronttest.Initialize("2024-11-05"))
	if e := c.Find(`"id":"init"`); e.Name != "message" || e.ID != "" ||
		!strings.Contains(e.Data, `"protocolVersion":"2024-11-05","serverInfo"`) {
		t.Errorf("initialize is answered %+v", e)
	}
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	c.send("{\"jsonrpc\":\"2.0\",\r\n \"id\":1.50,\n \"method\":\"tools/call\",\"params\":{\"name\":\"told\"}}")
	if e := c.Next(); e.Data != `{"jsonrpc":"2.0","id":1.50,"result":{"content":[{"type":"text","text":"notifications/initialized"}]}}` {
		t.Errorf("the call is answered %+v", e)
	}
	c.send(`{"jsonrpc":"2.0","id":2,"method":"vendor/unknown"}`)
	if e := c.Next(); !strings.Contains(e.Data, "the child knows no such method") {
		t.Errorf("an unknown method is answered %+v", e)
	}
	c.send(fronttest.Call("3", "progress", "p", 2))
	for _, want := range []string{`"progress":0`, `"progress":1`, `"done"`} {
		if e := c.Next(); !strings.Contains(e.Data, want) {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}

func TestAQuestionOfTheChildAndItsAnswer(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}))
	c.send(fronttest.Call("1", "ask", "who?", 0))
	if e := c.Next(); !strings.Contains(e.Data, `"id":"question","method":"elicitation/create"`) {
		t.Fatalf("the child asked %+v", e)
	}
	c.send(`{"jsonrpc":"2.0","id":"question","result":{"action":"decline"}}`)
	if e := c.Next(); !strings.Contains(e.Data, `"id":1,`) || !strings.Contains(e.Data, "decline") {
		t.Errorf("the call ended with %+v", e)
	}
}

// TestWhatTheChildCannotAnswerIsAnsweredOnTheStream: the client waits there.
func TestWhatTheChildCannotAnswerIsAnsweredOnTheStream(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}))
	c.send(fronttest.Call("1", "hang", "", 0))
	// A second call with the id is refused on its own request: on the stream the
	// client would take the refusal for the answer to the first.
	c.g.Do(t, http.MethodPost, c.post, fronttest.Call("1", "echo", "", 0)).
		Refused(t, http.StatusBadRequest, "a call with this id is in flight")
	c.send(fronttest.Call("2", "die", "last words", 0))
	for range 2 {
		if e := c.Next(); !strings.Contains(e.Data, `"code":-32603`) || !strings.Contains(e.Data, "exit status 3") ||
			!strings.Contains(e.Data, "last words") {
			t.Errorf("a call of the dead child is answered %+v", e)
		}
	}
}

func TestMethodsOfTheEndpoint(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		r := g.Do(t, method, c.post, "")
		r.Refused(t, http.StatusMethodNotAllowed, "only POST")
		if allow := r.Header.Get("Allow"); allow != "POST" {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
}

func TestASessionIsItsOwnersAlone(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g)
	other, err := g.Table.Open(g.Server, *alice, "streamable")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimPrefix(c.post, "/message?sessionId=")
	for name, tc := range map[string]struct{ user, query string }{
		"another identity":         {"bob", "?sessionId=" + id},
		"no id":                    {"alice", ""},
		"an empty id":              {"alice", "?sessionId="},
		"the public part":          {"alice", "?sessionId=" + id[:8]},
		"a wrong secret":           {"alice", "?sessionId=" + id[:len(id)-1] + "?"},
		"a node of another bridge": {"alice", "?sessionId=east." + id},
		"a session of /mcp":        {"alice", "?sessionId=" + other.ID.String()},
		"the id in another name":   {"alice", "?session_id=" + id},
		"first a wrong one":        {"alice", "?sessionId=x&sessionId=" + id},
	} {
		t.Run(name, func(t *testing.T) {
			g.Do(t, http.MethodPost, "/message"+tc.query, fronttest.Call("1", "echo", "", 0), "As", tc.user).
				Refused(t, http.StatusNotFound, `"id":null,"error":{"code":-32001,"message":"no such session"`)
		})
	}
	if started := g.Server.Stats.Started.Load(); started != 0 {
		t.Errorf("the refused started %d children", started)
	}
}

func TestBodies(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Body = 512 }})
	c := open(t, g)
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"nothing":               {"", 400, `"code":-32700`},
		"no JSON":               {"{", 400, `"code":-32700`},
		"no message":            {"{}", 400, `"code":-32600`},
		"two messages":          {`{"jsonrpc":"2.0","method":"notifications/a"}{"jsonrpc":"2.0","method":"notifications/b"}`, 400, `"code":-32700`},
		"a batch":               {`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, 400, `"code":-32600`},
		"no such notification":  {`{"jsonrpc":"2.0","method":"tools/call"}`, 400, "must be named notifications/"},
		"an id that is a list":  {`{"jsonrpc":"2.0","id":[1],"method":"ping"}`, 400, "id is neither"},
		"a key in two cases":    {`{"jsonrpc":"2.0","id":1,"Method":"ping","method":"ping"}`, 400, "other case"},
		"longer than the bound": {fronttest.Call("1", "echo", strings.Repeat("x", 512), 0), 413, "longer than 512 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			g.Do(t, http.MethodPost, c.post, tc.body).Refused(t, tc.status, tc.says)
		})
	}
	c.send(`{"jsonrpc":"2.0","id":5,"result":{}}`) // an answer that nobody waits for goes nowhere
}

func TestBoundOfCalls(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Calls = 1 }})
	c := open(t, g)
	c.send(fronttest.Call("1", "hang", "", 0))
	r := g.Do(t, http.MethodPost, c.post, fronttest.Call("2", "echo", "", 0))
	r.Refused(t, http.StatusTooManyRequests, `"id":2,"error":{"code":-32000,"message":"1 calls are in flight`)
	if r.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", r.Header.Get("Retry-After"))
	}
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	c.send(fronttest.Call("3", "echo", "again", 0))
	if e := c.Next(); !strings.Contains(e.Data, `"id":3,`) { // the one who cancels wants no answer
		t.Errorf("after the cancellation came %+v", e)
	}
}

// TestAChildThatDoesNotStart is told of on the stream, after the time of a
// start and not that of a call.
func TestAChildThatDoesNotStart(t *testing.T) {
	c := open(
		t,
		start(
			t,
			fronttest.Options{Child: fronttest.Mute, Limits: func(l *session.Limits) { l.Start = 100 * time.Millisecond }},
		),
	)
	c.send(fronttest.Initialize("2024-11-05"))
	if e := c.Next(); !strings.Contains(
		e.Data,
		`"id":"init","error":{"code":-32603,"message":"the server did not answer initialize within 100ms"`,
	) {
		t.Errorf("%+v", e)
	}
}
