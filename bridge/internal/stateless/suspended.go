package stateless

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

// waiting is a call of an older child that waits for its client's input.
type waiting struct {
	x     *exchange
	bind  []byte
	timer *time.Timer
}

// suspended holds the calls that wait, by their state. A state is random, used
// once, and good only for the caller and the call that it was made for.
type suspended struct {
	opts  Options
	mu    sync.Mutex
	calls map[string]*waiting
}

func newSuspended(opts Options) *suspended {
	return &suspended{opts: opts, calls: map[string]*waiting{}}
}

func questionKey() string { return "input-" + rand.Text()[:8] }

// put returns the state under which the call waits, or "" at the bound.
func (s *suspended) put(x *exchange) string {
	w := &waiting{x: x, bind: binding(x.caller, x.req)}
	state := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	held := 0
	for _, other := range s.calls {
		if other.x.caller.Identity.Subject == x.caller.Identity.Subject {
			held++
		}
	}
	if held >= s.opts.Suspended {
		return ""
	}
	s.calls[state] = w
	w.timer = time.AfterFunc(s.opts.Wait, func() {
		if s.remove(state, w.bind) != nil {
			x.giveUp("no input came")
		}
	})
	return state
}

// remove takes the call out where the binding is its own. One answer for a
// state that is unknown, old or another's: a stranger learns nothing.
func (s *suspended) remove(state string, bind []byte) *waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.calls[state]
	if w == nil || !bytes.Equal(w.bind, bind) {
		return nil
	}
	delete(s.calls, state)
	w.timer.Stop()
	return w
}

// Keeps tells whether a call waits here for the input that the message brings.
func (f *Front) Keeps(m *rpc.Message) bool {
	if !bytes.Contains(m.Line, []byte(`"requestState"`)) { // most bring none
		return false
	}
	raw, err := m.Param("requestState")
	return err == nil && f.suspended.has(rpc.Text(raw))
}

func (s *suspended) has(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[state] != nil
}

// lease is that of the call which waits for this one, or nil.
func (s *suspended) lease(x *exchange) *fleet.Lease {
	state, ok := x.req.Params.Text("requestState")
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.calls[state]; w != nil && bytes.Equal(w.bind, binding(x.caller, x.req)) {
		return w.x.lease
	}
	return nil
}

func (s *suspended) closeIf(match func(*waiting) bool) {
	s.mu.Lock()
	var closed []*waiting
	for state, w := range s.calls {
		if match(w) {
			delete(s.calls, state)
			w.timer.Stop()
			closed = append(closed, w)
		}
	}
	s.mu.Unlock()
	for _, w := range closed {
		w.x.giveUp("the session has ended")
	}
}

func (s *suspended) sids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sids []string
	for _, w := range s.calls {
		sids = append(sids, w.x.caller.Identity.SessionID)
	}
	return sids
}

// suspend answers with what the child asked, and lets the call wait.
func (x *exchange) suspend(ctx context.Context) {
	requests := make([]translate.Edit, 0, len(x.asked))
	for _, q := range x.asked {
		requests = append(requests, translate.Edit{Key: q.key, Value: q.request})
	}
	out, id := x.out, x.req.ID
	x.waits = true
	x.lease.Keep() // the child's further questions are this call's
	info := x.child.server.Info
	state := x.front.suspended.put(x)
	if state == "" {
		x.giveUp("too many calls wait for input")
		full := rpc.Errorf(rpc.CodeInternal, "too many calls of this identity wait for input; answer or let lapse some")
		out.Last(http.StatusTooManyRequests, full.ModernBody(id))
		return
	}
	out.Last(http.StatusOK, translate.Result(id, translate.InputRequired(requests, state, info)))
	if ctx.Err() != nil && x.front.suspended.remove(state, binding(x.caller, x.req)) != nil {
		x.giveUp("the client is gone") // it does not know what it is asked
	}
}

// resume goes on with a call that waited. done is false where a modern child
// keeps its own state and the request is its to answer.
func (x *exchange) resume(ctx context.Context) (done bool) {
	refused := rpc.Errorf(rpc.CodeInvalidParams,
		"Invalid params: requestState is unknown, has lapsed, or belongs to another call; begin the call again")
	if x.child.modern {
		if err := x.front.seal.incoming(x.caller, x.req); err != nil || x.req.Params.InOtherCase("requestState") {
			x.out.Last(http.StatusBadRequest, refused.ModernBody(x.req.ID))
			return true
		}
		return false
	}
	answers, err := x.req.Params.Object("inputResponses")
	if err != nil {
		refused.Message = "Invalid params: inputResponses is not an object"
		x.out.Last(http.StatusBadRequest, refused.ModernBody(x.req.ID))
		return true
	}
	err = answers.Each(func(_ string, answer json.RawMessage) error {
		_, err := translate.Parse(answer)
		return err
	})
	if err != nil {
		refused.Message = "Invalid params: an input response is not an object"
		x.out.Last(http.StatusBadRequest, refused.ModernBody(x.req.ID))
		return true
	}
	if err := x.allowed(ctx); err != nil {
		writeFailure(x.w, x.req.ID, err)
		return true
	}
	state, _ := x.req.Params.Text("requestState")
	w := x.front.suspended.remove(state, binding(x.caller, x.req))
	if w == nil {
		x.out.Last(http.StatusBadRequest, refused.ModernBody(x.req.ID))
		return true
	}
	if x.lease != w.x.lease {
		x.lease.Release()
	}
	x.waits = false
	x.lease, x.link, x.queue, x.call = w.x.lease, w.x.link, w.x.queue, w.x.call
	x.queue.OnSlow(x.out.Break)
	x.once = true // what its client has answered is used up
	for _, q := range w.x.asked {
		if answer := answers.Get(q.key); answer != nil {
			x.reply(translate.Result(q.id, answer))
		} else {
			x.asked = append(x.asked, q) // asked again: mrtr, "Error Handling"
		}
	}
	x.handed()
	x.run(ctx)
	return true
}
