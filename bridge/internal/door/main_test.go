package door

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a server that answers by a function, and says what a test tells it.
type fake struct {
	name   string
	user   string
	answer func(f *fake, m *rpc.Message)
	held   <-chan struct{} // until then it answers no initialize; nil answers at once
	lines  chan []byte
	heard  chan string // what is no call
	calls  chan []byte // where nothing answers
	done   chan struct{}
	once   sync.Once
}

func (f *fake) say(format string, args ...any) {
	select {
	case f.lines <- fmt.Appendf(nil, format, args...):
	case <-f.done:
	}
}

func (f *fake) Next() ([]byte, error) {
	select {
	case line := <-f.lines:
		return line, nil
	case <-f.done:
		return nil, io.EOF
	}
}

func (f *fake) Write(line []byte, edits ...rpc.Edit) (func() bool, bool) {
	m, err := rpc.Reparse(rpc.AppendEdited(nil, line, edits...))
	switch {
	case err != nil:
	case m.Method == "initialize" && f.held != nil:
		go f.introducesLate(bytes.Clone(m.ID()))
	case m.Method == "initialize":
		f.introduces(m.ID())
	case m.Kind != rpc.Request:
		f.heard <- string(m.Line)
	case f.answer != nil:
		f.answer(f, &m)
	default:
		f.calls <- m.Line
	}
	return nil, true
}

func (f *fake) introduces(id []byte) {
	f.say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":`+
		`{"tools":{},"prompts":{},"resources":{},"logging":{}},"serverInfo":{"name":%q},`+
		`"instructions":%q}}`, id, f.name, "You act for "+f.user)
}

func (f *fake) introducesLate(id []byte) {
	select {
	case <-f.held:
		f.introduces(id)
	case <-f.done:
	}
}

func (*fake) Stuck(time.Time) time.Duration  { return 0 }
func (f *fake) Stop()                        { f.once.Do(func() { close(f.done) }) }
func (f *fake) Kill()                        { f.Stop() }
func (f *fake) Done() <-chan struct{}        { return f.done }
func (*fake) Exit() (status, stderr string)  { return "", "" }
func (*fake) Close()                         {}
func (f *fake) result(id []byte, raw string) { f.say(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, raw) }

// house is a door, and what stands behind it.
type house struct {
	t     testing.TB
	door  *Door
	outer *fleet.Server
	table *session.Table
	log   *lockedText
	who   *contract.Identity

	mu    sync.Mutex
	fakes map[string]*fake         // the last of each server
	holds map[string]chan struct{} // by the names of those that do not come up before it is closed
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// build puts servers behind a door, of which each answers by the function.
func build(
	t testing.TB, names []string, listTime time.Duration, answer func(f *fake, m *rpc.Message), guard ...mux.Guard,
) *house {
	guard = append(guard, nil)
	h := &house{t: t, log: &lockedText{}, who: &contract.Identity{Subject: "alice"}, fakes: map[string]*fake{}}
	log := zerolog.New(h.log)
	limits := fleet.DefaultLimits()
	h.table = session.NewTable("n", session.DefaultLimits())
	var parts []Part
	for _, name := range names {
		server := fleet.NewServer(fleet.ServerConfig{
			Name: name, Isolation: fleet.PerSession, Limits: limits, Log: log, Guard: guard[0],
			Start: func(owner *contract.Identity, _ string) (mux.Process, error) {
				f := &fake{
					name: name, user: owner.Subject, answer: answer, lines: make(chan []byte, 1000), heard: make(chan string, 1000),
					calls: make(chan []byte, 100), done: make(chan struct{}),
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				if hold := h.holds[name]; hold != nil {
					f.held = hold
				}
				h.fakes[name] = f
				return f, nil
			},
		})
		h.table.Add(server)
		parts = append(parts, Part{Name: name, Server: server, May: func(*contract.Identity) error { return nil }})
	}
	h.door = New(Options{
		Parts: func() []Part { return parts }, Table: h.table, Separator: "__", ListTime: listTime, Log: log,
	})
	h.outer = fleet.NewServer(fleet.ServerConfig{
		Isolation: fleet.PerSession, Limits: limits, Start: h.door.Start, Log: log,
	})
	h.table.Add(h.outer)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.table.Close(ctx); err != nil {
			t.Errorf("the end: %v", err)
		}
	})
	return h
}

// of is the server when it runs.
func (h *house) of(name string) *fake {
	h.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		h.mu.Lock()
		f := h.fakes[name]
		h.mu.Unlock()
		if f != nil {
			return f
		}
	}
	h.t.Fatalf("%s does not start", name)
	return nil
}

// forgets makes of wait for the next that starts.
func (h *house) forgets(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.fakes, name)
}

// called is the id of the next call that a server has.
func (h *house) called(name string) string {
	h.t.Helper()
	select {
	case line := <-h.of(name).calls:
		m, _ := rpc.Reparse(line)
		return string(m.ID())
	case <-time.After(30 * time.Second):
		h.t.Fatalf("no call comes to %s", name)
		return ""
	}
}

// guest is a client with a session at the door.
type guest struct {
	*session.Session
	h *house
}

func (h *house) enters() *guest {
	h.t.Helper()
	g, _ := h.comes()
	return g
}

// comes is enters, with what the guest is told first.
func (h *house) comes() (g *guest, told string) {
	h.t.Helper()
	s, err := h.table.Open(h.outer, *h.who, "streamable")
	if err != nil {
		h.t.Fatal(err)
	}
	s.Reading()
	g = &guest{s, h}
	told = g.asks(0, "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c"}}`)
	return g, told
}

func (g *guest) begins(id int, method, params string) *event.Queue {
	g.h.t.Helper()
	m, err := rpc.Parse(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
	if err != nil {
		g.h.t.Fatal(err)
	}
	q := event.NewQueue(1 << 20)
	if _, err := g.Call(context.Background(), g.h.who, &m, q); err != nil {
		q.Push(event.Answer(mux.AsRPC(err).Body(m.ID())))
	}
	return q
}

// asks makes a call and returns its answer.
func (g *guest) asks(id int, method, params string) string {
	g.h.t.Helper()
	return g.h.next(g.begins(id, method, params))
}

// next is what comes next.
func (h *house) next(q *event.Queue) string {
	h.t.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for {
		if e, ok, _ := q.Pop(); ok {
			return string(e.Bytes())
		}
		select {
		case <-q.Wake():
		case <-late.C:
			h.t.Fatal("nothing comes")
		}
	}
}

func (g *guest) sends(line string) {
	g.h.t.Helper()
	m, err := rpc.Parse([]byte(line))
	if err == nil {
		err = g.Send(context.Background(), g.h.who, &m)
	}
	if err != nil {
		g.h.t.Fatal(err)
	}
}

// hears waits until the server has heard something with all of this, and fails
// where it hears anything else but what a session begins with.
func (h *house) hears(f *fake, want ...string) {
	h.t.Helper()
	for {
		select {
		case got := <-f.heard:
			if strings.Contains(got, "notifications/initialized") {
				continue
			}
			for _, w := range want {
				if !strings.Contains(got, w) {
					h.t.Errorf("%s heard %s, want %q in it", f.name, got, w)
				}
			}
			return
		case <-time.After(30 * time.Second):
			h.t.Fatalf("%s never heard %q", f.name, want)
		}
	}
}

// echoes answers tools/call with its name and the server's.
func echoes(f *fake, m *rpc.Message) {
	f.result(m.ID(), fmt.Sprintf(`{"content":[{"type":"text","text":"%s of %s"}]}`, m.Name(), f.name))
}
