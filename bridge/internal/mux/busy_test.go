package mux

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// paper is a child that takes what it is told, or lets it wait.
type paper struct {
	lines []string
	busy  bool // what it is told waits
	full  bool // and no more may
	stuck time.Duration
	ended bool
}

func (p *paper) Next() ([]byte, error)         { select {} }
func (p *paper) Stuck(time.Time) time.Duration { return p.stuck }
func (p *paper) Stop()                         { p.ended = true }
func (p *paper) Kill()                         { p.ended = true }
func (p *paper) Done() <-chan struct{}         { return nil }
func (p *paper) Exit() (status, stderr string) { return "", "" }
func (p *paper) Close()                        {}
func (p *paper) said(part string) bool         { return strings.Contains(strings.Join(p.lines, "\n"), part) }
func (p *paper) Write(line []byte, edits ...rpc.Edit) (func() bool, bool) {
	if p.full {
		return nil, false
	}
	n := len(p.lines)
	p.lines = append(p.lines, string(rpc.AppendEdited(nil, line, edits...)))
	if !p.busy {
		return nil, true
	}
	return func() bool { p.lines = append(p.lines[:n], p.lines[n+1:]...); return true }, true
}

// onPaper is a client of such a child.
func onPaper(t *testing.T) (*Conn, *paper, *Link, *event.Queue) {
	t.Helper()
	c, q := alone(false), event.NewQueue(1<<20)
	who := &Caller{Session: "one", Identity: &contract.Identity{Subject: "alice"}}
	l, err := c.Link(LinkOptions{Caller: who, Standing: q})
	if err != nil {
		t.Fatal(err)
	}
	return c, c.proc.(*paper), l, q
}

func asks(t *testing.T, l *Link, q *event.Queue, id string) (*Call, error) {
	t.Helper()
	m, err := rpc.ParseClient([]byte(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	return l.Call(context.Background(), &m, q)
}

// TestOnlyTheCallThatFindsNoRoomFails: those before it wait on, and the child
// is not ended.
func TestOnlyTheCallThatFindsNoRoomFails(t *testing.T) {
	c, child, l, q := onPaper(t)
	child.busy = true
	if _, err := asks(t, l, q, "1"); err != nil {
		t.Fatal(err)
	}
	child.full = true
	var refusal *Refusal
	if _, err := asks(t, l, q, "2"); !errors.As(err, &refusal) || refusal.Full {
		t.Errorf("one that finds no room: %v", err)
	}
	if c.Busy() != 1 || child.ended || c.o.Stats.Refused.Load() != 1 {
		t.Errorf("%d calls wait, ended %v", c.Busy(), child.ended)
	}
	child.full = false
	if _, err := asks(t, l, q, "2"); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

// TestACallThatWaitsIsTakenBack when it is given up or its time is over: the
// child hears neither of it nor of its end.
func TestACallThatWaitsIsTakenBack(t *testing.T) {
	c, child, l, q := onPaper(t)
	child.busy = true
	call, err := asks(t, l, q, "1")
	if err != nil {
		t.Fatal(err)
	}
	call.Cancel("gone")
	if _, err := asks(t, l, q, "2"); err != nil {
		t.Fatal(err)
	}
	c.Sweep(time.Now().Add(c.o.Bounds.CallTime + time.Second))
	if len(child.lines) != 0 || c.Busy() != 0 || len(c.stale) != 0 {
		t.Errorf("the child is told %v; %d calls, %d ids", child.lines, c.Busy(), len(c.stale))
	}
	if e, ok, _ := q.Pop(); !ok || !e.Failed || !strings.Contains(string(e.Bytes()), "did not answer") {
		t.Errorf("the client is told %s", e.Bytes())
	}
}

// TestABusyChildIsNotADeadOne: it is given up when no call that it has read of
// is open any more.
func TestABusyChildIsNotADeadOne(t *testing.T) {
	c, child, l, q := onPaper(t)
	if _, err := asks(t, l, q, "1"); err != nil { // it works on this one
		t.Fatal(err)
	}
	child.busy, child.stuck = true, time.Hour
	if _, err := asks(t, l, q, "2"); err != nil {
		t.Fatal(err)
	}
	c.Sweep(time.Now())
	if child.ended {
		t.Fatal("it was ended while it works")
	}
	c.Sweep(time.Now().Add(c.o.Bounds.CallTime + time.Second)) // both are over
	if !child.ended {
		t.Error("it reads nothing for an hour, works on nothing, and is kept")
	}
}

// TestAQuestionThatNobodyAnswersIsRefused, and is remembered no more.
func TestAQuestionThatNobodyAnswersIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, child, _, q := onPaper(t)
		routeLine(t, c, `{"jsonrpc":"2.0","id":"q","method":"roots/list"}`)
		if _, ok, _ := q.Pop(); !ok || len(c.asked) != 1 {
			t.Fatal("the client is not asked")
		}
		time.Sleep(c.o.Bounds.CallTime)
		c.Sweep(time.Now())
		if len(c.asked) != 1 {
			t.Error("refused before its time")
		}
		time.Sleep(time.Second)
		c.Sweep(time.Now())
		if len(c.asked) != 0 || !child.said(`"id":"q","error"`) {
			t.Errorf("%d wait; the child is told %v", len(c.asked), child.lines)
		}
	})
}

// TestQuestionsAreBounded: a child that asks without end is refused, by no
// goroutine of its own for each.
func TestQuestionsAreBounded(t *testing.T) {
	c, child, _, _ := onPaper(t)
	before := runtime.NumGoroutine()
	for n := range 2 * maxAsked {
		routeLine(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"roots/list"}`, n))
	}
	if len(c.asked) != maxAsked || len(child.lines) != maxAsked {
		t.Errorf("%d wait, %d are refused", len(c.asked), len(child.lines))
	}
	child.full = true
	for n := range 1000 {
		routeLine(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":"more %d","method":"roots/list"}`, n))
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, there were %d", n, before)
	}
}
