package session

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// A member is a client with a session. All members use the same ids and the
// same progress tokens, as real clients do: only the mark tells them apart.
type member struct {
	mark  string
	s     *Session
	calls map[string]*pending // by the raw id
	last  int
}

type pending struct {
	call  *mux.Call
	queue *event.Queue
	tool  string
	over  bool // answered or given up
	heard bool // answered
}

type world struct {
	table   *Table
	server  *fleet.Server
	members []*member
	made    int
}

func newWorld(isolation fleet.Isolation, starter *child.Starter) *world {
	limits := DefaultLimits()
	server := fleet.NewServer(fleet.ServerConfig{
		Starter: starter, Spec: child.Spec{
			Argv: []string{os.Args[0]}, Env: append(os.Environ(), childMode+"=1", "GORACE=atexit_sleep_ms=0"),
		},
		Child:     child.Options{StdinGrace: time.Second, TermGrace: time.Second},
		Isolation: isolation, Limits: limits.Limits, Log: zerolog.Nop(),
	})
	return &world{table: NewTable("", limits, server), server: server}
}

func (w *world) close(t *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.table.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func parse(t *rapid.T, line string) *rpc.Message {
	m, err := rpc.ParseClient([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

// join opens a session of one of two users and initialises it.
func (w *world) join(t *rapid.T) {
	user := rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user")
	s, err := w.table.Open(w.server, contract.Identity{Subject: user}, "sse")
	if err != nil {
		t.Fatal(err)
	}
	w.made++
	m := &member{mark: fmt.Sprintf("<m%d>", w.made), s: s, calls: map[string]*pending{}}
	w.members = append(w.members, m)
	q := event.NewQueue(1 << 20)
	line := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
		`"capabilities":{},"clientInfo":{"name":"m","version":"1"}}}`
	call, err := s.Call(context.Background(), &s.Owner, parse(t, line), q)
	if err != nil {
		return // its child cannot be had now: its first call tries again
	}
	m.calls["0"] = &pending{call: call, queue: q, tool: "initialize"}
}

func (w *world) any(t *rapid.T) *member {
	if len(w.members) == 0 {
		w.join(t)
	}
	return rapid.SampledFrom(w.members).Draw(t, "member")
}

func (w *world) call(t *rapid.T, tool string) {
	m := w.any(t)
	m.last++
	id := fmt.Sprint(m.last)
	q := event.NewQueue(1 << 20)
	line := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,`+
		`"arguments":{"mark":%q},"_meta":{"progressToken":%s}}}`, id, tool, m.mark, id)
	call, err := m.s.Call(context.Background(), &m.s.Owner, parse(t, line), q)
	if err != nil {
		return // refused, for a child that died too often: nothing is owed
	}
	m.calls[id] = &pending{call: call, queue: q, tool: tool}
}

// cancel gives a call up, as its client or as its front does.
func (w *world) cancel(t *rapid.T) {
	m := w.any(t)
	id := fmt.Sprint(rapid.IntRange(1, m.last+1).Draw(t, "id"))
	p := m.calls[id]
	if p == nil {
		return
	}
	if rapid.Bool().Draw(t, "by the client") {
		_ = m.s.Send(context.Background(), &m.s.Owner, parse(t,
			`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}`))
	} else {
		p.call.Cancel("gone")
	}
	p.over = true
}

func (w *world) leave(t *rapid.T) {
	m := w.any(t)
	m.s.End(ErrDeleted)
	for i, other := range w.members {
		if other == m {
			w.members = append(w.members[:i], w.members[i+1:]...)
			break
		}
	}
	w.hear(t, m)
}

var marks = regexp.MustCompile(`<m\d+>|<[^>]*>`)

// hear takes what came for a member, answers what it was asked, and fails on
// any mark that is not its own.
func (w *world) hear(t *rapid.T, m *member) {
	take := func(q *event.Queue, p *pending) {
		for {
			e, ok, _ := q.Pop()
			if !ok {
				return
			}
			for _, mark := range marks.FindAllString(string(e.Bytes()), -1) {
				if mark != m.mark {
					t.Fatalf("%s was told what is %s: %s", m.mark, mark, e.Bytes())
				}
			}
			if e.Final && p != nil {
				if p.heard {
					t.Fatalf("%s got a second answer: %s", m.mark, e.Bytes())
				}
				p.over, p.heard = true, true
			}
			if e.Kind == rpc.Request {
				asked, _ := rpc.Parse(e.Bytes())
				_ = m.s.Send(context.Background(), &m.s.Owner, parse(t, fmt.Sprintf(
					`{"jsonrpc":"2.0","id":%s,"result":{"mark":%q}}`, asked.ID(), m.mark)))
			}
		}
	}
	take(m.s.Standing, nil)
	for _, p := range m.calls {
		take(p.queue, p)
	}
}

func (w *world) hearAll(t *rapid.T) {
	for _, m := range w.members {
		w.hear(t, m)
	}
}

// settle waits until every call that nobody gave up was answered.
func (w *world) settle(t *rapid.T) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		w.hearAll(t)
		owed := ""
		for _, m := range w.members {
			for id, p := range m.calls {
				if !p.over && p.tool != "hold" {
					owed = fmt.Sprintf("%s owes call %s (%s)", m.mark, id, p.tool)
				}
			}
		}
		if owed == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(owed)
		}
	}
}

// TestNoMessageReachesAnother is the promise of this package: whatever the
// order of calls, cancellations, crashes and ends, a client hears only what its
// own calls caused, and hears the answer to each.
func TestNoMessageReachesAnother(t *testing.T) {
	for _, isolation := range []fleet.Isolation{fleet.PerSession, fleet.PerUser, fleet.Shared} {
		t.Run(string(isolation), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				starter := child.NewStarter()
				defer starter.Close()
				w := newWorld(isolation, starter)
				defer w.close(t)
				actions := map[string]func(*rapid.T){
					"join": w.join, "leave": w.leave, "cancel": w.cancel,
					"": w.hearAll, // after each
				}
				for _, tool := range []string{"echo", "progress", "log", "late", "hold", "ask"} {
					actions[tool] = func(t *rapid.T) { w.call(t, tool) }
				}
				actions["die"] = func(t *rapid.T) {
					if rapid.IntRange(0, 3).Draw(t, "odds") == 0 {
						w.call(t, "die")
					}
				}
				t.Repeat(actions)
				w.settle(t)
			})
		})
	}
}
