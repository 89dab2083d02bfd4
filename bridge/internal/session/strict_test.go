package session

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// What a file in the folder of a strict child makes it do.
const (
	holds   = "holds"   // be silent on initialize while the file is there
	crashes = "crashes" // end at the first word
	waits   = "waits"   // answer a call only when the file is gone
	refuses = "refuses" // answer initialize with an error
	asks    = "asks"    // ask for the roots before it answers a subscribe
)

// strictChild refuses what comes before it is initialised, as the Python SDK
// does, and dies of the resource "poison".
func strictChild(dir string) {
	is := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	ready, told := false, []string{}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var r struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name, URI, Level string }
		}
		_ = json.Unmarshal(in.Bytes(), &r)
		answer := fmt.Sprintf(`"result":{"told":%q}`, strings.Join(told, " "))
		switch {
		case r.Method == "notifications/initialized":
			ready = true
		case r.Method == "tools/call" && is(waits):
			for is(waits) {
				time.Sleep(time.Millisecond) // the test takes the file away
			}
		case r.Params.Name == "crash" || is(crashes):
			os.Exit(7)
		case r.Method == "initialize" && is(refuses):
			answer = `"error":{"code":-32602,"message":"not today"}`
		case r.Method == "initialize":
			for is(holds) {
				time.Sleep(time.Millisecond) // the test takes the file away
			}
			answer = `"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"strict","version":"1"}}`
		case !ready:
			answer = `"error":{"code":-32600,"message":"before initialization was complete"}`
		case r.Params.Name == "die" || r.Params.URI == "poison":
			os.Exit(7)
		case r.Params.Name == "stuck":
			select {} // it reads no more
		case r.Method == mux.MethodUnsubscribe:
			told = append(told, "-"+r.Params.URI)
		case r.Params.URI+r.Params.Level != "":
			told = append(told, r.Params.URI+r.Params.Level)
		}
		if r.Method == mux.MethodSubscribe && is(asks) {
			fmt.Println(`{"jsonrpc":"2.0","id":"roots","method":"roots/list"}`)
		}
		if r.ID != nil {
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,%s}`+"\n", r.ID, answer)
		}
		if r.Params.Name == "bye" { // its last answer; it takes a while to end
			_, _ = os.Stdin.Close(), os.Stdout.Close()
			time.Sleep(20 * time.Millisecond)
			fmt.Fprintln(os.Stderr, "my last words")
			os.Exit(3)
		}
	}
}

// strict is a session on a strict child.
type strict struct {
	*Session
	t   *testing.T
	dir string
}

func newStrict(t *testing.T, guard mux.Guard) *strict {
	t.Helper()
	return newStrictOn(t, fleet.PerSession, guard)
}

func newStrictOn(t *testing.T, isolation fleet.Isolation, guard mux.Guard) *strict {
	t.Helper()
	return newStrictFrom(t, func(c *fleet.ServerConfig) { c.Isolation, c.Guard = isolation, guard })
}

// newStrictFrom changes the configuration of the server first.
func newStrictFrom(t *testing.T, change func(*fleet.ServerConfig)) *strict {
	t.Helper()
	starter, dir, limits := child.NewStarter(), t.TempDir(), DefaultLimits()
	config := fleet.ServerConfig{
		Starter: starter, Spec: child.Spec{
			Argv: []string{os.Args[0]}, Env: append(os.Environ(), childMode+"="+dir, "GORACE=atexit_sleep_ms=0"),
		},
		Child:     child.Options{StdinGrace: 20 * time.Millisecond, TermGrace: time.Second},
		Isolation: fleet.PerSession, Limits: limits.Limits, Log: zerolog.Nop(),
	}
	change(&config)
	server := fleet.NewServer(config)
	table := NewTable("", limits, server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := table.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		starter.Close()
	})
	return &strict{openOn(t, table, server), t, dir}
}

func openOn(t *testing.T, table *Table, server *fleet.Server) *Session {
	t.Helper()
	s, err := table.Open(server, contract.Identity{Subject: "alice", SessionID: "login"}, "sse")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// initializeLine is that of a client of 2025-06-18.
const initializeLine = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
	`"capabilities":{},"clientInfo":{"name":"s","version":"1"}}}`

// message parses what the test itself wrote.
func message(t *testing.T, line string) *rpc.Message {
	t.Helper()
	m, err := rpc.ParseClient([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

// ask makes a request and waits for its answer; an error of the bridge is one
// too.
func (s *strict) ask(method, params string) string {
	s.t.Helper()
	q := event.NewQueue(1 << 20)
	m := message(s.t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
	if _, err := s.Call(context.Background(), &s.Owner, m, q); err != nil {
		return err.Error()
	}
	for {
		e, ok, _ := q.Pop()
		switch {
		case ok && e.Final:
			return string(e.Bytes())
		case !ok:
			<-q.Wake()
		}
	}
}

func (s *strict) initialize() {
	s.t.Helper()
	s.ask("initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"s","version":"1"}}`)
	if err := s.Send(context.Background(), &s.Owner, message(s.t, fleet.InitializedLine)); err != nil {
		s.t.Fatal(err)
	}
}

// dies ends the child, and waits until that is known.
func (s *strict) dies() {
	s.t.Helper()
	conn := s.link.Conn()
	s.ask("tools/call", `{"name":"die"}`)
	<-conn.Done()
}

func (s *strict) told() string { s.t.Helper(); return s.ask("tools/call", `{"name":"told"}`) }

func (s *strict) make(file string) func() {
	s.t.Helper()
	path := filepath.Join(s.dir, file)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return func() { _ = os.Remove(path) }
}

func TestNobodySpeaksToANewChildBeforeItIsInitialised(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	s.dies()
	free := s.make(holds)
	defer free()
	first := make(chan string, 1)
	go func() { first <- s.told() }()
	eventually(t, "the new child is asked to initialise", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.link != nil && s.link.Conn().Dead() == nil && s.link.Conn().Busy() > 0
	})
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	m := message(t, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	if _, err := s.Call(gone, &s.Owner, m, event.NewQueue(1)); err == nil {
		t.Error("a call went to a child that is not initialised")
	}
	if err := s.Send(gone, &s.Owner, message(t, `{"jsonrpc":"2.0","id":7,"result":{}}`)); err != nil {
		t.Errorf("an answer, for which the child may be waiting, has to wait: %v", err)
	}
	free()
	if got := <-first; !strings.Contains(got, `"result"`) {
		t.Errorf("the call that started the child: %s", got)
	}
}

// TestALargeInitializeIsKeptSmall, and a new child takes what is kept.
func TestALargeInitializeIsKeptSmall(t *testing.T) {
	s := newStrict(t, nil)
	pad := strings.Repeat("x", 1<<20)
	s.ask("initialize", `{"pad":"`+pad+`","protocolVersion":"2025-06-18","capabilities":{"roots":{}},`+
		`"clientInfo":{"icons":["`+pad+`"],"name":"s","version":"1"}}`)
	const want = `"params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},` +
		`"clientInfo":{"name":"s","version":"1"}}}`
	if got := string(s.init); cap(s.init) > rpc.MaxKept || !strings.HasSuffix(got, want) {
		t.Errorf("%d bytes are kept: %.300s", cap(s.init), got)
	}
	if err := s.Send(context.Background(), &s.Owner, message(t, fleet.InitializedLine)); err != nil {
		t.Fatal(err)
	}
	s.dies()
	if got := s.told(); !strings.Contains(got, `"result"`) {
		t.Errorf("on a new child: %s", got)
	}
	small := message(t, initializeLine)
	if got := keptInit(small); string(got) != initializeLine || &got[0] == &small.Line[0] {
		t.Errorf("a small one is kept as %s", got)
	}
}

func TestAChildThatDoesNotInitialiseAgainIsGivenUp(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	s.dies()
	free := s.make(refuses)
	if got := s.told(); !strings.Contains(got, "not today") {
		t.Errorf("the call that started the child: %s", got)
	}
	free()
	if got := s.told(); !strings.Contains(got, `"result"`) {
		t.Errorf("the next call: %s", got)
	}
}

// TestAnAnswerStartsNoChild: whoever asked is gone.
func TestAnAnswerStartsNoChild(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	s.dies()
	if err := s.Send(context.Background(), &s.Owner, message(t, `{"jsonrpc":"2.0","id":7,"result":{}}`)); err != nil {
		t.Error(err)
	}
	if n := s.server.Stats.Started.Load(); n != 1 {
		t.Errorf("%d children were started", n)
	}
}

// forbids refuses the resource "secret".
type forbids struct{}

func (forbids) Again(context.Context, *mux.CallInfo) error { return nil }

func (forbids) Begin(_ context.Context, c *mux.CallInfo) (mux.Watch, error) {
	if c.Name == "secret" {
		return nil, &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "you may not"}
	}
	return nil, nil
}

// TestANewChildIsToldOnlyWhatTheLastOneTook: what the policy refused must not
// come to the child by this way, and what killed the last child not at all.
func TestANewChildIsToldOnlyWhatTheLastOneTook(t *testing.T) {
	s := newStrict(t, forbids{})
	s.initialize()
	s.ask("resources/subscribe", `{"uri":"open"}`)
	s.ask("logging/setLevel", `{"level":"error"}`)
	if got := s.ask("resources/subscribe", `{"uri":"secret"}`); !strings.Contains(got, "you may not") {
		t.Fatalf("the policy of the test does not work: %s", got)
	}
	conn := s.link.Conn()
	s.ask("resources/subscribe", `{"uri":"poison"}`)
	<-conn.Done()
	if got := s.told(); !strings.Contains(got, `{"told":"error open"}`) {
		t.Errorf("the new child was told %s", got)
	}
}

// fickle lets every call begin and, once it is set, none go on with the resource
// "closed".
type fickle struct{ no atomic.Bool }

func (*fickle) Begin(context.Context, *mux.CallInfo) (mux.Watch, error) { return nil, nil }

func (f *fickle) Again(_ context.Context, c *mux.CallInfo) error {
	if f.no.Load() && c.Message.URI() == "closed" && c.Caller.Identity.Name == "later" {
		return &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "you may not"}
	}
	return nil
}

// TestANewChildIsToldOnlyWhatItsClientMayStillSay, as his last request showed him.
func TestANewChildIsToldOnlyWhatItsClientMayStillSay(t *testing.T) {
	guard := &fickle{}
	s := newStrict(t, guard)
	s.initialize()
	s.ask("resources/subscribe", `{"uri":"closed"}`)
	s.ask("resources/subscribe", `{"uri":"open"}`)
	s.dies()
	guard.no.Store(true)
	later := s.Owner
	later.Name = "later"
	told := message(t, `{"jsonrpc":"2.0","method":"notifications/x"}`)
	if err := s.Send(context.Background(), &later, told); err != nil {
		t.Fatal(err)
	}
	if got := s.told(); !strings.Contains(got, `{"told":"open"}`) {
		t.Errorf("the new child was told %s", got)
	}
}

// TestWhatANewChildAsksMeanwhileComesToItsClient: servers ask for the roots as
// soon as they are initialised, while the bridge still tells them the rest.
func TestWhatANewChildAsksMeanwhileComesToItsClient(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	s.ask(mux.MethodSubscribe, `{"uri":"open"}`)
	s.dies()
	s.make(asks)
	s.told()
	if e, ok, _ := s.Standing.Pop(); !ok || e.Kind != rpc.Request || e.Method != "roots/list" {
		t.Errorf("the client was told %+v", e)
	}
}

// TestWhatIsKeptForANewChildIsBounded in bytes, not only in number.
func TestWhatIsKeptForANewChildIsBounded(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	for i := range 20 {
		s.ask("resources/subscribe", fmt.Sprintf(`{"uri":"u%d","pad":%q}`, i, strings.Repeat("x", maxKept/10)))
	}
	s.ask("logging/setLevel", fmt.Sprintf(`{"level":"info","pad":%q}`, strings.Repeat("x", 2*maxKept)))
	total := len(s.settings.level)
	for uri, params := range s.settings.uris {
		total += len(uri) + cap(params)
	}
	if n := len(s.settings.uris); total > maxKept || n == 0 {
		t.Errorf("%d bytes are kept of %d subscriptions, want at most %d", total, n, maxKept)
	}
	for uri := range s.settings.uris {
		s.ask("resources/unsubscribe", `{"uri":"`+uri+`"}`)
	}
	if s.settings.bytes != len(s.settings.level) {
		t.Errorf("nothing is kept, and %d bytes are counted", s.settings.bytes)
	}
}
