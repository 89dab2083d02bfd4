package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

// run is one client's time with the server.
type run struct {
	*Connector
	ctx   context.Context
	stop  context.CancelCauseFunc
	elder *translate.Elder
	tools toolHeaders
	wg    sync.WaitGroup // of everything that sends or listens

	outMu sync.Mutex
	out   io.Writer

	mu    sync.Mutex
	calls map[string]*call // by the id that the server knows
	own   int              // calls of our own so far
	heard memory

	turn chan struct{} // held while a session is opened
	sess *session      // nil until the first one; mu
}

func newRun(ctx context.Context, c *Connector, out io.Writer) *run {
	r := &run{
		Connector: c, out: out, elder: translate.NewElder(), calls: map[string]*call{},
		turn: make(chan struct{}, 1),
	}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	return r
}

// read hands on the client's lines. Once they end, what is still open has
// drainTime.
func (r *run) read(in io.Reader, lines chan<- []byte) {
	defer close(lines)
	reader := rpc.NewLines(in, maxLine)
	for {
		line, err := reader.Next()
		if err != nil {
			why := errClosed
			if !errors.Is(err, io.EOF) {
				why = err
			}
			time.AfterFunc(drainTime, func() { r.stop(why) })
			return
		}
		select {
		case lines <- line:
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *run) loop(lines <-chan []byte) {
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				r.drain()
				return
			}
			if len(bytes.TrimSpace(line)) > 0 {
				r.take(line)
			}
		case <-r.ctx.Done():
			return
		}
	}
}

// drain waits for the calls in flight; a subscription is not waited for.
func (r *run) drain() {
	for {
		var open *call
		r.mu.Lock()
		for _, c := range r.calls {
			if c.method == rpc.Listen {
				c.cancel()
			} else {
				open = c
			}
		}
		r.mu.Unlock()
		if open == nil {
			r.stop(errClosed)
			return
		}
		select {
		case <-open.ctx.Done(): // it has its answer
		case <-r.ctx.Done():
			return
		}
	}
}

// take takes one line of the client.
func (r *run) take(line []byte) {
	m, err := rpc.ParseClient(line)
	if errors.Is(err, rpc.ErrBatch) {
		r.takeBatch(line)
		return
	}
	if err != nil {
		r.say((&rpc.Error{Code: rpc.CodeOf(err), Message: err.Error()}).Body(m.ID()))
		return
	}
	r.pass(&m)
}

// takeBatch takes the messages of a batch one by one (2025-03-26): each is
// answered by itself.
func (r *run) takeBatch(line []byte) {
	parts, _, err := rpc.Split(line, maxOpen)
	if err != nil {
		r.say((&rpc.Error{Code: rpc.CodeInvalidRequest, Message: err.Error()}).Body(nil))
		return
	}
	for _, part := range parts {
		m, err := rpc.Parse(part)
		if err != nil {
			r.say((&rpc.Error{Code: rpc.CodeOf(err), Message: err.Error()}).Body(m.ID()))
			continue
		}
		r.pass(&m)
	}
}

// pass gives a message to the translation, where there is one.
func (r *run) pass(m *rpc.Message) {
	if r.elder.Passes() {
		r.dispatch(m)
		return
	}
	r.route(r.elder.FromClient(m.Line))
}

// route sends what goes to the server and says what goes to the client.
func (r *run) route(down, up [][]byte) {
	for _, line := range up {
		r.say(line)
	}
	for _, line := range down {
		m, err := rpc.Parse(line)
		if err != nil {
			r.log.Warn("a message of the client was dropped", "why", err.Error())
			continue
		}
		r.dispatch(&m)
	}
}

// dispatch sends a message to the server. What opens a session, and
// notifications, are sent before the next message is looked at: their order
// matters. Calls and answers go beside each other.
func (r *run) dispatch(m *rpc.Message) {
	switch {
	case m.Kind == rpc.Request:
		c, err := r.begin(m, nil)
		if err != nil {
			r.say(err.Body(m.ID()))
			return
		}
		if c.opens() {
			r.exchange(c, m)
			return
		}
		r.wg.Go(func() { r.exchange(c, m) })
	case m.Method == rpc.Cancelled:
		r.cancelled(m)
	case m.Kind == rpc.Notification:
		r.tell(m)
	default:
		r.wg.Go(func() { r.tell(m) })
	}
}

// tell posts what has no answer.
func (r *run) tell(m *rpc.Message) {
	r.remember(m)
	if err := r.post(r.ctx, m); err != nil && r.ctx.Err() == nil {
		r.log.Warn("a message was not delivered", "method", m.Method, "why", err.Error())
	}
}

// say writes one line to the client.
func (r *run) say(line []byte) {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	if _, err := r.out.Write(append(line, '\n')); err != nil {
		r.stop(err)
	}
}

// hear takes what the server said, in whatever stream it came.
func (r *run) hear(line []byte) {
	if m, err := rpc.ParseClient(line); err == nil {
		r.heed(&m)
		return
	} else if !errors.Is(err, rpc.ErrBatch) {
		r.log.Warn("the server wrote what is no message", "bytes", len(line), "why", err.Error())
		r.unread(rpc.Named(line))
		return
	}
	parts, _, err := rpc.Split(line, maxOpen)
	if err != nil {
		r.log.Warn("the server wrote a batch that cannot be read", "why", err.Error())
	}
	for _, part := range parts {
		if m, err := rpc.Parse(part); err == nil {
			r.heed(&m)
		}
	}
}

// unread answers the call that the line would have answered.
func (r *run) unread(id []byte) {
	if id == nil {
		return
	}
	answer := (&rpc.Error{Code: rpc.CodeInternal, Message: "the server's answer cannot be read"}).Body(id)
	if m, err := rpc.Parse(answer); err == nil {
		r.heed(&m)
	}
}

func (r *run) heed(m *rpc.Message) {
	if m.Kind == rpc.Response {
		c := r.settle(m)
		if c == nil {
			return // answered already, cancelled, or never asked
		}
		defer close(c.done)
		if c.own != nil {
			c.own <- *m
			return
		}
		r.learn(c, m)
	}
	if r.elder.Passes() {
		r.say(m.Line)
		return
	}
	r.route(r.elder.FromChild(m.Line))
}
