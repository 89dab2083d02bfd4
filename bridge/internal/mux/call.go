package mux

import (
	"runtime"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// Call is a request of a client that its child has not answered.
type Call struct {
	Method string
	Name   string

	link     *Link
	sink     event.Sink
	watch    Watch
	id       []byte // the client's
	key      string // the child's, the same bytes where nothing was rewritten
	token    []byte
	tokenKey string
	uri      string  // of a subscribe or unsubscribe
	user     *string // who asks; nil for the bridge itself
	life     time.Duration
	edits    [3]rpc.Edit  // of its line: id, token, what the guard adds; they outlive the stack of send
	order    uint64       // among the calls on the child
	withdraw func() bool  // takes it back while it waits for the child to read; under conn.mu
	untold   bool         // the child never heard of it; set when it was dropped
	deadline atomic.Int64 // unix nanoseconds
	carried  bool         // another Conn answers it, see Carrier
	inner    *Call        // there; set under conn.mu before the call is over, if at all
	stop     func()       // of who looks for it; under conn.mu
}

func (c *Call) touch(now time.Time) { c.deadline.Store(now.Add(c.life).UnixNano()) }

// overdue reports whether the time of the call is over. A subscription has no
// time: it is open until one side ends it.
func (c *Call) overdue(now time.Time) bool {
	if c.Method == methodListen {
		return false
	}
	return now.UnixNano() > c.deadline.Load()
}

// finish hands the response to the one who asked. The call is in no table any
// more, so it happens once.
func (c *Call) finish(m *rpc.Message) {
	e := event.Event{Kind: rpc.Response, Failed: m.Failed, Final: true, Line: m.Line, ResultAt: m.ResultSpan()}
	if string(m.ID()) != string(c.id) {
		e.Edit = rpc.Edit{At: m.IDSpan(), With: c.id}
	}
	status := "error"
	if !m.Failed {
		status = "ok"
		e = c.filtered(m, e)
	}
	c.deliver(e, status)
}

// filtered leaves out what the caller may not see.
func (c *Call) filtered(m *rpc.Message, e event.Event) event.Event {
	raw := m.Result()
	changed := raw
	if c.watch != nil {
		changed = c.watch.Result(raw)
	}
	if c.listsTasks() {
		changed = c.link.conn.ownTasks(*c.user, changed)
	}
	if len(changed) != len(raw) || string(changed) != string(raw) {
		e.Line, e.Edit, e.ResultAt = rpc.ResultBody(c.id, changed), rpc.Edit{}, rpc.Span{}
	}
	return e
}

// deliver hands over the last event of the call. What is written down about it
// comes after: the client does not pay for that.
func (c *Call) deliver(e event.Event, status string) {
	if c.watch == nil {
		c.sink.Push(e)
		return
	}
	c.watch.Release()
	c.sink.Push(e)
	runtime.Gosched() // whoever waits for the answer goes first
	c.watch.End(Outcome{Status: status, Bytes: e.Len()})
}

// undelivered ends a call whose client gets nothing more of it.
func (c *Call) undelivered(status string) {
	if c.watch != nil {
		c.watch.Release()
		c.watch.End(Outcome{Status: status})
	}
}

// fail answers in the child's place.
func (c *Call) fail(status string, err *rpc.Error) {
	c.deliver(event.Event{Kind: rpc.Response, Failed: true, Final: true, Line: err.Body(c.id)}, status)
}

func (c *Call) silence() {
	c.deliver(event.Event{Kind: rpc.Response, Final: true, Silent: true}, "cancelled")
}

func (c *Call) timeout() *rpc.Error {
	return rpc.Errorf(rpc.CodeInternal, "the server did not answer %s within %s", c.Method, c.life)
}

// Cancel gives the call up: the child is told, and a late answer goes nowhere.
// It does nothing where the call is over.
func (c *Call) Cancel(reason string) {
	conn := c.link.conn
	if conn.drop(c) {
		c.undelivered("cancelled")
		conn.tellCancelled(c, reason)
	}
}
