package mux

import (
	"context"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// Carrier is a Process that is made of others. It takes most calls as they are,
// to a Conn of its own, and what that one says of a call comes back to the call
// itself: no line is made of it, and nobody reads one.
type Carrier interface {
	Process
	// Carry finds who answers a call; nil where it is to be written like any
	// other. An error refuses it. No Guard of this Conn is asked about what is
	// carried: that of the other is.
	Carry(ctx context.Context, who *Caller, m *rpc.Message) (Carry, error)
	// WriteAs is Write, and tells who says it; nil is the bridge itself.
	WriteAs(who *Caller, line []byte, edits ...rpc.Edit) (withdraw func() bool, ok bool)
	// Hear is told once, and before it is told anything else, what takes the
	// lines that the process says. Any goroutine may call it, and one that holds
	// no lock. Next says none.
	Hear(take func(line []byte))
}

// Carry gives a call to the other Conn: the call is the sink of the call there.
// A nil one is yet to come, with Call.With or Call.Refuse.
type Carry func(*Call) (*Call, error)

// carry asks the process for a way, where it knows any.
func (l *Link) carry(ctx context.Context, who *Caller, m *rpc.Message) (Carry, error) {
	if l.conn.carrier == nil || who == nil {
		return nil, nil //nolint:nilnil // the call is written
	}
	return l.conn.carrier.Carry(ctx, who, m)
}

// give gives a call that is in the tables to who carries it.
func (c *Call) give(carry Carry) error {
	inner, err := carry(c)
	switch {
	case err == nil && inner != nil:
		c.With(inner)
	case err == nil:
	case c.link.conn.drop(c):
		return err
	}
	return nil // or it is over meanwhile
}

// With tells which call of another Conn is made for this one: it is given up
// with this one.
func (c *Call) With(inner *Call) {
	conn := c.link.conn
	conn.mu.Lock()
	open := conn.calls[c.key] == c
	if open {
		c.inner = inner
	}
	conn.mu.Unlock()
	if !open {
		inner.Cancel("the client is gone") // nothing where it was answered
	}
}

// Within is a context that ends when the call is given up.
func (c *Call) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	conn := c.link.conn
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if conn.calls[c.key] == c {
		c.stop = cancel
	} else {
		cancel()
	}
	return ctx, cancel
}

// Refuse answers a carried call that the other Conn was not given.
func (c *Call) Refuse(err error) {
	if c.link.conn.drop(c) {
		c.fail("error", AsRPC(err))
	}
}

// Push implements event.Sink: it takes what is said of a carried call.
func (c *Call) Push(e event.Event) bool {
	conn := c.link.conn
	if !e.Final {
		c.touch(time.Now())
		return c.sink.Push(e)
	}
	conn.mu.Lock()
	if conn.calls[c.key] != c {
		conn.mu.Unlock()
		return true
	}
	var result []byte
	if conn.o.Shared && !e.Failed {
		result = e.Result()
	}
	conn.answered(c, e.Failed, result)
	conn.mu.Unlock()
	c.deliver(e, "ok")
	return true
}

// Ask passes a request of the process to the client of a carried call: it may be
// about this very call.
func (c *Call) Ask(line []byte) {
	m, err := rpc.Reparse(line)
	if err != nil {
		return
	}
	conn := c.link.conn
	conn.ask(&m, func() (*Link, event.Sink) {
		if conn.calls[c.key] != c {
			return nil, nil
		}
		return c.link, c.sink
	})
}
