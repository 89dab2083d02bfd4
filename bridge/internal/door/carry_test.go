package door

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// TestServersAreNotToldOfEachOthersQuestions: two ask one client under the same
// id and the same progress token. The answer and the progress reach the asker.
func TestServersAreNotToldOfEachOthersQuestions(t *testing.T) {
	h := build(t, []string{"a", "b"}, 10*time.Second, nil)
	g := h.enters()
	calls := map[string]*event.Queue{"a": g.begins(1, rpc.CallTool, `{"name":"a__x"}`)}
	h.called("a")
	calls["b"] = g.begins(2, rpc.CallTool, `{"name":"b__x"}`)
	h.called("b")
	asked := map[string]rpc.Message{}
	for name, q := range calls {
		h.of(name).say(`{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage",`+
			`"params":{"of":%q,"_meta":{"progressToken":"same"}}}`, name)
		m, err := rpc.Parse([]byte(h.next(q))) // with the call that it is about, not the newest
		if err != nil || !strings.Contains(string(m.Params()), name) {
			t.Fatalf("on the call of %s came %s, %v", name, m.Line, err)
		}
		asked[name] = m
	}
	a, b := asked["a"], asked["b"]
	if string(a.ID()) == string(b.ID()) || string(a.Token()) == string(b.Token()) {
		t.Errorf("asked alike: %s and %s", a.Line, b.Line)
	}
	for name, m := range asked {
		g.sends(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":`+
			`{"progressToken":%s,"progress":1,"message":"to %s"}}`, m.Token(), name))
		g.sends(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"to":%q}}`, m.ID(), name))
	}
	for name := range asked {
		h.hears(h.of(name), "notifications/progress", `"progressToken":"same"`, `"to `+name+`"`)
		h.hears(h.of(name), `"id":7`, `"to":"`+name+`"`)
		select {
		case more := <-h.of(name).heard:
			t.Errorf("%s also heard %s", name, more)
		default:
		}
	}
	g.sends(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":2}}`,
		a.Token()))
	g.sends(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	h.hears(h.of("a"), "roots/list_changed") // and nothing of an answered question before it
}

// TestACallIsGivenUpWhereItIs: the server is told of it under the id that it
// knows, and nobody else's call with the same id is.
func TestACallIsGivenUpWhereItIs(t *testing.T) {
	h := build(t, []string{"a"}, 10*time.Second, nil)
	other := h.enters()
	others := other.begins(1, rpc.CallTool, `{"name":"a__x"}`)
	othersID, theirs := h.called("a"), h.of("a")
	h.forgets("a")
	g := h.enters()
	q := g.begins(1, rpc.CallTool, `{"name":"a__x"}`)
	id := h.called("a")
	g.sends(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	h.hears(h.of("a"), "notifications/cancelled", `"requestId":`+id)
	if e, ok, _ := q.Pop(); !ok || !e.Silent {
		t.Errorf("the client was told %s", e.Bytes())
	}
	again := g.begins(2, rpc.CallTool, `{"name":"a__x"}`)
	h.of("a").result([]byte(h.called("a")), `{}`)
	if got := h.next(again); !strings.Contains(got, `"id":2,"result"`) {
		t.Errorf("the next call: %s", got)
	}
	theirs.result([]byte(othersID), `{}`)
	if got := h.next(others); !strings.Contains(got, `"id":1,"result"`) {
		t.Errorf("the other's call: %s", got)
	}
	other.sends(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	h.hears(theirs, "roots/list_changed") // and of nothing that was given up before it
}

// TestTheEndOfAServersSessionAnswersItsCalls, all of them, and those that come
// after it: the client waits for nothing that cannot come.
func TestTheEndOfAServersSessionAnswersItsCalls(t *testing.T) {
	h := build(t, []string{"a"}, 10*time.Second, nil)
	g := h.enters()
	calls := []*event.Queue{g.begins(1, rpc.CallTool, `{"name":"a__x"}`), g.begins(2, rpc.CallTool, `{"name":"a__x"}`)}
	h.called("a")
	h.called("a")
	over, cancel := context.WithCancel(context.Background())
	cancel()
	err := h.table.Retire(over, h.door.o.Parts()[0].Server)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	calls = append(calls, g.begins(3, rpc.CallTool, `{"name":"a__x"}`))
	for i, q := range calls {
		if got := h.next(q); !strings.Contains(got, fmt.Sprintf(`"id":%d,"error"`, 1+i)) {
			t.Errorf("of call %d the client was told %s", 1+i, got)
		}
	}
}

// TestWhatAServerLogsComesBeforeItsAnswer.
func TestWhatAServerLogsComesBeforeItsAnswer(t *testing.T) {
	h := build(t, []string{"a"}, 10*time.Second, func(f *fake, m *rpc.Message) {
		for i := range 5 {
			f.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s %d"}}`, m.ID(), i)
		}
		echoes(f, m)
	})
	g := h.enters()
	for id := 1; id < 50; id++ {
		g.asks(id, rpc.CallTool, `{"name":"a__x"}`)
		for i := range 5 {
			e, ok, _ := g.Standing.Pop()
			if want := fmt.Sprintf("%d %d", id, i); !ok || !strings.Contains(string(e.Bytes()), want) {
				t.Fatalf("with its answer the client has %q, want %q", e.Bytes(), want)
			}
		}
	}
}

// BenchmarkCall is a call at the door beside one at the server itself.
func BenchmarkCall(b *testing.B) {
	h := build(b, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}, time.Second, echoes)
	g := h.enters()
	g.asks(1, rpc.CallTool, `{"name":"j__x"}`)
	own, err := h.table.Open(h.door.o.Parts()[9].Server, *h.who, "streamable")
	if err != nil {
		b.Fatal(err)
	}
	direct := &guest{own, h}
	direct.asks(0, "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c"}}`)
	for name, one := range map[string]struct {
		g    *guest
		name string
	}{"own": {direct, "x"}, "door": {g, "j__x"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				one.g.asks(i+10, rpc.CallTool, `{"name":"`+one.name+`","arguments":{"text":"gatehouse-load.1.1."}}`)
			}
		})
	}
}

// TestATaskIsAskedOfWhoHasIt: of two servers that give their tasks ids of their
// own, and by the list where the call that began one is forgotten.
func TestATaskIsAskedOfWhoHasIt(t *testing.T) {
	h := build(t, []string{"a", "b"}, 10*time.Second, func(f *fake, m *rpc.Message) {
		switch {
		case m.Method == rpc.CallTool:
			f.result(m.ID(), `{"task":{"taskId":"of `+f.name+`","status":"working"}}`)
		default:
			echoes(f, m)
		}
	})
	g := h.enters()
	g.asks(1, rpc.CallTool, `{"name":"a__x","task":{}}`)
	g.asks(2, rpc.CallTool, `{"name":"b__x","task":{}}`)
	for i, method := range []string{"tasks/get", "tasks/result", "tasks/cancel"} {
		for j, name := range []string{"a", "b"} {
			got := g.asks(10+2*i+j, method, `{"taskId":"of `+name+`"}`)
			if !strings.Contains(got, ` of `+name+`"`) {
				t.Errorf("%s of %s: %s", method, name, got)
			}
		}
	}
	if got := g.asks(20, "tasks/get", `{"taskId":"of nobody"}`); !strings.Contains(got, "-32602") {
		t.Errorf("a task of nobody: %s", got)
	}
	if got := h.enters().asks(3, "tasks/get", `{"taskId":"of a"}`); !strings.Contains(got, "-32602") {
		t.Errorf("a task of another session: %s", got)
	}
}

// noScope is a guard that wants a scope for everything that its server does.
type noScope struct{ mux.Guard }

func (noScope) refusal() error {
	return &mux.ScopeError{RPC: &rpc.Error{Code: -32003, Message: "no scope"}, Challenge: "Bearer scope"}
}

func (n noScope) Begin(_ context.Context, c *mux.CallInfo) (mux.Watch, error) {
	if wayOf(c.Method) == nil {
		return nil, nil
	}
	return nil, n.refusal()
}

func (n noScope) Again(_ context.Context, c *mux.CallInfo) error {
	_, err := n.Begin(context.Background(), c)
	return err
}

// TestARefusalKeepsItsChallenge, for every method that one server answers,
// before its session is open and after.
func TestARefusalKeepsItsChallenge(t *testing.T) {
	h := build(t, []string{"a"}, 10*time.Second, func(f *fake, m *rpc.Message) {
		f.result(m.ID(), `{"resources":[{"uri":"x://1"}],"resourceTemplates":[],"tools":[{"name":"x"}]}`)
	}, noScope{})
	g := h.enters()
	ask := func(id int, method, params string) error {
		m, err := rpc.Parse(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Call(context.Background(), h.who, &m, event.NewQueue(1<<20))
		return err
	}
	var scope *mux.ScopeError
	if err := ask(1, rpc.CallTool, `{"name":"a__x"}`); !errors.As(err, &scope) {
		t.Errorf("a tool of a server that is not open: %v", err)
	}
	g.asks(2, "resources/list", `{}`)
	for i, method := range []string{
		rpc.CallTool, rpc.GetPrompt, rpc.ReadResource, mux.MethodSubscribe, "completion/complete",
	} {
		params := `{"name":"a__x","uri":"x://1","ref":{"type":"ref/resource","uri":"x://1"}}`
		if err := ask(10+i, method, params); !errors.As(err, &scope) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// TestTheLastOfAUserIsUnsubscribed: clients without a session share one desk,
// and the server is told when none of them wants a resource any more.
func TestTheLastOfAUserIsUnsubscribed(t *testing.T) {
	subs := make(chan string, 10)
	h := build(t, []string{"a"}, 10*time.Second, func(f *fake, m *rpc.Message) {
		if m.Method == mux.MethodSubscribe || m.Method == mux.MethodUnsubscribe {
			subs <- m.Method + " " + m.URI()
		}
		f.result(m.ID(), `{"resources":[{"uri":"x://1"}],"resourceTemplates":[]}`)
	})
	lease, err := h.outer.Pool().AcquireModern(context.Background(), h.who, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	q := event.NewQueue(1 << 20)
	link, err := lease.Conn.Link(mux.LinkOptions{Caller: &mux.Caller{Identity: h.who, Era: "stateless"}, Standing: q})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := rpc.Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x://1"}}`))
	if _, err := link.Call(context.Background(), &m, q); err != nil {
		t.Fatal(err)
	}
	if got := h.next(q); !strings.Contains(got, `"result"`) {
		t.Errorf("subscribed: %s", got)
	}
	link.Close()
	for _, want := range []string{"resources/subscribe x://1", "resources/unsubscribe x://1"} {
		select {
		case got := <-subs:
			if got != want {
				t.Errorf("the server was told %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the server was never told %q", want)
		}
	}
}

// TestAllCallsOfAUserWithoutASessionFitIntoOne: each has a link of its own at the
// door, and behind it they share one, which must take what the user may have.
func TestAllCallsOfAUserWithoutASessionFitIntoOne(t *testing.T) {
	h := build(t, []string{"a"}, time.Second, nil)
	server := h.door.o.Parts()[0].Server
	open := func(of func(*fleet.Server, contract.Identity, string) (*session.Session, error)) *guest {
		s, err := of(server, *h.who, "door")
		if err != nil {
			t.Fatal(err)
		}
		g := &guest{s, h}
		g.asks(0, "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c"}}`)
		return g
	}
	most := server.Limits().Calls
	within, own := open(h.table.OpenWithin), open(h.table.Open)
	for n := range most {
		within.begins(n, rpc.CallTool, `{"name":"x"}`)
		own.begins(n, rpc.CallTool, `{"name":"x"}`)
	}
	if e, refused, _ := within.begins(most, rpc.CallTool, `{"name":"x"}`).Pop(); refused {
		t.Errorf("one call more than a client may have is answered %s", e.Bytes())
	}
	if _, refused, _ := own.begins(most, rpc.CallTool, `{"name":"x"}`).Pop(); !refused {
		t.Error("a client has more calls than it may have")
	}
}

// TestAServerIsNotHeardByWhoMayNotUseItNow: what it says and asks by itself waits
// for nobody, and is heard again once its client has the role again.
func TestAServerIsNotHeardByWhoMayNotUseItNow(t *testing.T) {
	h := build(t, []string{"a"}, 10*time.Second, echoes)
	var gone atomic.Bool
	h.door.o.Parts()[0].May = func(*contract.Identity) error {
		if gone.Load() {
			return errNotOpen
		}
		return nil
	}
	g := h.enters()
	g.asks(1, rpc.CallTool, `{"name":"a__x"}`)
	a := h.of("a")
	gone.Store(true)
	a.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"secret"}}`)
	a.say(`{"jsonrpc":"2.0","id":7,"method":"roots/list"}`)
	h.hears(a, `"id":7`, `"error"`)
	gone.Store(false)
	a.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"open"}}`)
	for told := ""; !strings.Contains(told, "open"); {
		if told = h.next(g.Standing); strings.Contains(told, "secret") || strings.Contains(told, "roots/list") {
			t.Errorf("the client heard %s", told)
		}
	}
}
