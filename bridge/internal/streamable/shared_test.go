package streamable_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
)

// two are alice and bob on one child.
func two(t *testing.T) (g *fronttest.Gate, a, b *client) {
	t.Helper()
	g = start(t, fronttest.Options{Isolation: fleet.Shared})
	return g, open(t, g, "2025-06-18", "As", "alice"), open(t, g, "2025-06-18", "As", "bob")
}

// told is what the child has heard that is no call.
func (c *client) told() string {
	c.t.Helper()
	return c.post(fronttest.Call(`"told"`, "told", "", 0)).Body
}

func TestWhoSharesAChild(t *testing.T) {
	for isolation, want := range map[fleet.Isolation]struct {
		children int64
		user     string
	}{
		fleet.PerSession: {4, "alice"}, // a child for each
		fleet.PerUser:    {3, "alice"}, // for each login of each user
		fleet.Shared:     {1, ""},      // for all: it learns of nobody
	} {
		t.Run(string(isolation), func(t *testing.T) {
			g := start(t, fronttest.Options{Isolation: isolation})
			for _, who := range []string{"alice", "alice/elsewhere", "bob", "alice"} {
				user := open(t, g, "2025-06-18", "As", who).post(fronttest.Call("1", "user", "", 0)).Body
				if name, _, _ := strings.Cut(who, "/"); name == "alice" && !strings.Contains(user, `"text":"`+want.user+`"`) ||
					name == "bob" && strings.Contains(user, "alice") {
					t.Errorf("the child of %s serves %s", who, user)
				}
			}
			if n := g.Server.Stats.Started.Load(); n != want.children {
				t.Errorf("%d children for four sessions, want %d", n, want.children)
			}
		})
	}
}

// TestASharedChildIsInitializedOnce: by the bridge; the test's child refuses a
// second time.
func TestASharedChildIsInitializedOnce(t *testing.T) {
	_, a, _ := two(t)
	if told := a.told(); strings.Count(told, "notifications/initialized") != 1 {
		t.Errorf("the child has heard %s", told)
	}
}

// TestTheVersionOnASharedChildIsTheOneAskedFor: the bridge asked the child for
// the last version, and a client of an older one cannot take that.
func TestTheVersionOnASharedChildIsTheOneAskedFor(t *testing.T) {
	for name, tc := range map[string]struct{ child, asked, answered string }{
		"the oldest here": {fronttest.Plain, "2025-03-26", "2025-03-26"},
		"one between":     {fronttest.Plain, "2025-06-18", "2025-06-18"},
		"the last":        {fronttest.Plain, "2025-11-25", "2025-11-25"},
		"of no session":   {fronttest.Plain, "2026-07-28", "2025-11-25"},
		"none there is":   {fronttest.Plain, "1.0", "2025-11-25"},
		"an older child":  {"2025-03-26", "2025-06-18", "2025-03-26"},
		"a child of 2024": {"2024-11-05", "2025-11-25", "2025-03-26"}, // the Java client refuses 2024-11-05 here
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, fronttest.Options{Child: tc.child, Isolation: fleet.Shared})
			r := g.Do(t, http.MethodPost, "/", fronttest.Initialize(tc.asked))
			if want := `}},"protocolVersion":"` + tc.answered + `","serverInfo"`; r.Status != http.StatusOK ||
				!strings.Contains(r.Body, want) {
				t.Errorf("%d %s; want %s", r.Status, r.Body, want)
			}
		})
	}
}

// TestABatchOnASharedChild: 2025-03-26 has batches whoever the child serves.
func TestABatchOnASharedChild(t *testing.T) {
	c := open(t, start(t, fronttest.Options{Isolation: fleet.Shared}), "2025-03-26")
	if all := c.stream("[" + fronttest.Call("1", "echo", "one", 0) + "," + fronttest.Call("2", "echo", "two", 0) + "]").Rest(); len(
		all,
	) != 2 {
		t.Errorf("the batch was answered with %+v", all)
	}
}

func TestEqualIDsOnASharedChild(t *testing.T) {
	_, a, b := two(t)
	half := a.stream(fronttest.Call("1", "half", "", 0))
	half.Next()
	if r := b.post(fronttest.Call("1", "echo", "bob's", 0)); r.Body != `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"bob's"}]}}` {
		t.Errorf("bob got %d %s", r.Status, r.Body)
	}
	b.takes(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if told := b.told(); strings.Contains(told, "cancelled") {
		t.Errorf("bob cancelled what is alice's: %s", told)
	}
}

func TestOnlyTheOneWhoWasAskedMayAnswer(t *testing.T) {
	_, a, b := two(t)
	s := a.stream(fronttest.Call("1", "ask", "who?", 0))
	s.Next()
	b.takes(`{"jsonrpc":"2.0","id":"question","result":{"name":"bob"}}`)
	if told := b.told(); strings.Contains(told, "answered") {
		t.Fatalf("bob answered for alice: %s", told)
	}
	a.takes(`{"jsonrpc":"2.0","id":"question","result":{"name":"alice"}}`)
	if rest := s.Rest(); len(rest) != 1 || !strings.Contains(rest[0].Data, "alice") {
		t.Errorf("the call ended with %+v", rest)
	}
}

// TestAWithdrawnQuestion is withdrawn from the one who was asked.
func TestAWithdrawnQuestion(t *testing.T) {
	_, a, b := two(t)
	s := a.stream(fronttest.Call("1", "ask", "who?", 0))
	s.Next()
	b.post(fronttest.Call("2", "withdraw", "", 0))
	if e := s.Next(); !strings.Contains(e.Data, `"notifications/cancelled","params":{"requestId":"question"}`) {
		t.Errorf("alice was told %+v", e)
	}
}

// TestAQuestionToOneWhoLeaves is refused, so that the child does not wait.
func TestAQuestionToOneWhoLeaves(t *testing.T) {
	_, a, b := two(t)
	a.stream(fronttest.Call("1", "ask", "who?", 0)).Next()
	a.do(http.MethodDelete, "")
	fronttest.Eventually(t, "the child has its answer", func() bool { return strings.Contains(b.told(), "answered") })
}

func TestProgressOfNoCallIsDropped(t *testing.T) {
	g, a, _ := two(t)
	if r := a.post(fronttest.Call("1", "stray", "", 0)); r.Header.Get("Content-Type") != "application/json" ||
		strings.Contains(r.Body, "nobody's") {
		t.Errorf("alice got %s", r.Body)
	}
	if g.Server.Stats.Dropped.Load() != 1 {
		t.Errorf("%d messages were counted as dropped", g.Server.Stats.Dropped.Load())
	}
}

func TestSubscriptionsOnASharedChild(t *testing.T) {
	_, a, b := two(t)
	ask := func(c *client, what string) {
		t.Helper()
		if r := c.post(`{"jsonrpc":"2.0","id":1,"method":"resources/` + what + `","params":{"uri":"file:///x"}}`); !strings.Contains(
			r.Body,
			`"result":{}`,
		) {
			t.Fatalf("%s: %s", what, r.Body)
		}
	}
	hers, his := a.listen(), b.listen()
	ask(a, "subscribe")
	b.post(fronttest.Call("1", "touch", "file:///x", 1))
	hers.Find(`"n":1`)
	ask(b, "subscribe")
	b.post(fronttest.Call("2", "touch", "file:///x", 2))
	if e := his.Next(); !strings.Contains(e.Data, `"n":2`) {
		t.Errorf("bob, who subscribed after the first, was told %+v", e)
	}
	hers.Find(`"n":2`)
	ask(a, "unsubscribe") // bob still wants it
	if told := b.told(); strings.Contains(told, "unsubscribe") {
		t.Errorf("the child has heard %s", told)
	}
	b.post(fronttest.Call("3", "touch", "file:///x", 3))
	his.Find(`"n":3`)
	ask(b, "unsubscribe")
	if told := b.told(); strings.Count(told, "unsubscribe") != 1 {
		t.Errorf("the child has heard %s", told)
	}
}

// TestAnotherLoginsStreamsEndWithIt: the same user's, in a session of the first
// (Contract 3). The session goes on.
func TestAnotherLoginsStreamsEndWithIt(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g, "2025-06-18")
	there := &client{t, g, append([]string{"As", "alice/elsewhere"}, c.headers...)}
	half := there.stream(fronttest.Call("1", "half", "", 0))
	half.Next()
	hung := make(chan fronttest.Reply, 1)
	go func() {
		r, _ := g.Try(http.MethodPost, "/", fronttest.Call("2", "hang", "", 0), there.headers...)
		hung <- r
	}()
	c.awaitHanging()
	standing := there.listen()
	g.Table.EndSIDs([]string{"login of alice/elsewhere"})
	standing.Rest()
	half.Rest()
	(<-hung).Refused(t, http.StatusOK, `"code":-32001`)
	if r := c.post(fronttest.Call("3", "echo", "still here", 0)); !strings.Contains(r.Body, "still here") {
		t.Errorf("the session: %d %s", r.Status, r.Body)
	}
}
