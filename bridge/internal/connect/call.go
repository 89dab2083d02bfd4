package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"gatehouse/bridge/internal/rpc"
)

// call is a request without an answer yet.
type call struct {
	id     string // raw
	method string
	modern bool             // of 2026-07-28: no session, and its stream's end cancels it
	own    chan rpc.Message // of a call that the client did not make
	done   chan struct{}    // closed with the answer
	ctx    context.Context
	cancel context.CancelFunc
}

// opens reports whether nothing may be sent beside the call.
func (c *call) opens() bool {
	return c.method == "initialize" || c.method == rpc.Discover
}

func (r *run) begin(m *rpc.Message, own chan rpc.Message) (*call, *rpc.Error) {
	v := m.Version()
	c := &call{
		id: string(m.ID()), method: m.Method, modern: v != "" && !rpc.HasSessions(v),
		own: own, done: make(chan struct{}),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.calls[c.id] != nil:
		return nil, &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "a call with this id is in flight"}
	case len(r.calls) >= maxOpen && own == nil:
		return nil, &rpc.Error{
			Code:    rpc.CodeBusy,
			Message: fmt.Sprintf("%d calls are in flight, the most there may be", maxOpen),
		}
	}
	c.ctx, c.cancel = context.WithCancel(r.ctx)
	r.calls[c.id] = c
	return c, nil
}

// settle takes the call that the response answers, and gives it the id that the
// call has; nil where nobody waits.
func (r *run) settle(m *rpc.Message) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.calls[string(m.ID())]
	if c == nil {
		c = r.sameID(m)
	}
	if c != nil {
		delete(r.calls, c.id)
		r.heard.answered(c, m)
	}
	return c
}

// sameID finds the call whose id the server has written in another way: with
// escapes, as 1.0, or as the string "1". The lock is held.
func (r *run) sameID(m *rpc.Message) *call {
	key := rpc.Key(m.ID())
	for id, c := range r.calls {
		if rpc.Key([]byte(id)) != key {
			continue
		}
		own, err := rpc.Parse(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: []byte(id)}))
		if err != nil {
			return nil
		}
		*m = own
		return c
	}
	return nil
}

func (c *call) answered() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// exchange makes the call and sees to it that it gets an answer.
func (r *run) exchange(c *call, m *rpc.Message) {
	defer r.forget(c)
	r.remember(m)
	err := r.send(c, m)
	if c.answered() || c.ctx.Err() != nil && r.ctx.Err() == nil {
		return // cancelled by the client: it wants no answer
	}
	if err == nil {
		err = errLost
	}
	answer := failure(c, err)
	if parsed, bad := rpc.Parse(answer); bad == nil {
		r.heed(&parsed)
	}
}

// cancelled ends a call of the client's. In 2026-07-28 the end of its stream
// says so to the server; before, the notification does.
func (r *run) cancelled(m *rpc.Message) {
	r.mu.Lock()
	c := r.calls[string(m.Cancels())]
	if c != nil && c.method != "initialize" {
		delete(r.calls, c.id)
	}
	r.mu.Unlock()
	if c == nil || c.method == "initialize" {
		return
	}
	if !c.modern {
		r.tell(m)
	}
	c.cancel()
}

// ask makes a call of our own in the session and waits for its answer.
func (r *run) ask(ctx context.Context, s *session, line []byte) (*rpc.Message, error) {
	m, err := rpc.Parse(line)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.own++
	id := []byte(`"gh-connect-` + strconv.Itoa(r.own) + `"`)
	r.mu.Unlock()
	if m, err = rpc.Parse(rpc.AppendEdited(nil, line, rpc.Edit{At: m.IDSpan(), With: id})); err != nil {
		return nil, err
	}
	c, full := r.begin(&m, make(chan rpc.Message, 1))
	if full != nil {
		return nil, full
	}
	if quiet(ctx) {
		c.ctx = quietly(c.ctx)
	}
	defer r.forget(c)
	defer context.AfterFunc(ctx, c.cancel)()
	if err := r.sendIn(s, c, &m); err != nil {
		return nil, err
	}
	select {
	case answer := <-c.own:
		return &answer, nil
	default:
		return nil, errLost
	}
}

func (r *run) forget(c *call) {
	c.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[c.id] == c {
		delete(r.calls, c.id)
	}
}

// Why a call has no answer.
var (
	errLost = errors.New("the line to the server broke before the answer came; whether the call ran is not known")
	errOver = errors.New("the server has ended the session")
)

// statusError is an answer of HTTP that carries no message for the client.
type statusError struct {
	status int
	body   []byte // of a JSON-RPC error, else nil
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
}

// failure is the error response to a call: the server's own, where it gave one.
func failure(c *call, err error) []byte {
	var refused *statusError
	if errors.As(err, &refused) && refused.body != nil {
		m, bad := rpc.Parse(refused.body)
		if bad == nil {
			return rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: []byte(c.id)})
		}
	}
	e := &rpc.Error{Code: rpc.CodeInternal, Message: err.Error()}
	if refused != nil {
		e.Data, _ = json.Marshal(map[string]int{"httpStatus": refused.status}) // plain
		if c.method == rpc.Discover && refused.status < http.StatusInternalServerError {
			e.Code = rpc.CodeMethodNotFound // so that the client begins with initialize
		}
	}
	return e.Body([]byte(c.id))
}
