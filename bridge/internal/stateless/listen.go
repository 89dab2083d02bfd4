package stateless

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

// listen serves subscriptions/listen: an acknowledgment, then what passes the
// filter, until the client leaves. A modern child is asked to listen too, for
// it sends nothing else; an older child is asked for its resources.
func (x *exchange) listen(ctx context.Context, conn *mux.Conn) {
	filter, bad := translate.ReadFilter(x.req, x.child.server)
	if bad != nil {
		writeError(x.w, http.StatusBadRequest, x.req.ID, bad)
		return
	}
	if !x.streams() {
		writeError(x.w, http.StatusNotAcceptable, x.req.ID,
			rpc.Errorf(rpc.CodeInvalidRequest, "Accept must list text/event-stream"))
		return
	}
	x.queue = event.NewQueue(x.front.opts.Queue)
	x.queue.OnSlow(x.out.Break)
	link, err := conn.Link(mux.LinkOptions{Caller: x.caller, Standing: x.queue})
	if err != nil {
		writeFailure(x.w, x.req.ID, err)
		return
	}
	defer link.Close()
	x.link = link
	calls, err := x.subscribe(ctx, link, filter)
	defer func() {
		for _, c := range calls {
			c.Cancel("the client is gone")
		}
	}()
	if err != nil {
		writeFailure(x.w, x.req.ID, err)
		return
	}
	x.handed()
	if x.out.Begin() != nil {
		return
	}
	early, ok := x.accepted(ctx, &filter, len(calls))
	if ok {
		x.hear(ctx, conn, filter, early)
	}
}

// accepted waits for an older child's answers and takes out what it refused:
// the acknowledgment names what is heard. early is what the child said before.
func (x *exchange) accepted(ctx context.Context, filter *translate.Filter, calls int) (early []event.Event, ok bool) {
	if x.child.modern {
		return nil, true
	}
	asked, bytes := filter.URIs, 0
	filter.URIs = nil
	for calls > 0 {
		e, ok, err := x.queue.Pop()
		switch {
		case err != nil:
			return nil, false
		case ok && e.Final:
			calls--
			if n := subscribed(e); n >= 0 && n < len(asked) {
				filter.URIs = append(filter.URIs, asked[n])
			}
			continue
		case ok && e.Kind == rpc.Request:
			x.ask(e) // and is refused: a listener is asked nothing
		case ok:
			if bytes += e.Size(); bytes > x.front.opts.Queue {
				return nil, false
			}
			early = append(early, e)
			continue
		}
		select {
		case <-x.queue.Wake():
		case <-x.front.stop:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
	return early, true
}

// subscribed is the number that translate.Subscribe gave, or -1 where the child
// refused.
func subscribed(e event.Event) int {
	message, err := translate.Parse(e.Bytes())
	if err != nil || e.Failed {
		return -1
	}
	n, err := strconv.Atoi(string(message.Get("id")))
	if err != nil {
		return -1
	}
	return n
}

func (x *exchange) subscribe(ctx context.Context, link *mux.Link, filter translate.Filter) ([]*mux.Call, error) {
	lines := [][]byte{x.req.ForChild(false)}
	if !x.child.modern {
		lines = lines[:0]
		for i, uri := range filter.URIs {
			lines = append(lines, translate.Subscribe(i, uri))
		}
	}
	var calls []*mux.Call
	for _, line := range lines {
		m, err := rpc.Reparse(line)
		if err != nil {
			return calls, &rpc.Error{Code: rpc.CodeInvalidRequest, Message: err.Error()}
		}
		call, err := link.Call(ctx, &m, x.queue)
		if err != nil {
			return calls, err
		}
		calls = append(calls, call)
	}
	return calls, nil
}

func (x *exchange) hear(ctx context.Context, conn *mux.Conn, filter translate.Filter, early []event.Event) {
	raw, _ := json.Marshal(filter) // a plain struct always marshals
	if x.out.Send(x.tagged(translate.Acknowledge(raw))) != nil {
		return
	}
	for _, e := range early {
		if e.Kind == rpc.Notification && x.tell(e, filter) != nil {
			return
		}
	}
	for {
		e, ok, err := x.queue.Pop()
		if err != nil {
			return
		}
		if ok {
			if e.Final && x.child.modern {
				x.over(e, conn)
				return
			}
			if e.Kind == rpc.Request {
				x.ask(e)
			}
			if e.Kind == rpc.Notification && x.tell(e, filter) != nil {
				return
			}
			continue
		}
		select {
		case <-x.queue.Wake():
		case <-x.pulse:
			if x.due() && x.out.Comment() != nil {
				return
			}
		case <-x.front.stop:
			x.end()
			return
		case <-conn.Done():
			return // an abrupt end: the client subscribes again
		case <-ctx.Done():
			return
		}
	}
}

func (x *exchange) tell(e event.Event, filter translate.Filter) error {
	message, err := translate.Parse(e.Bytes())
	if err != nil {
		return nil //nolint:nilerr // a line that cannot be read is not for anybody
	}
	if !filter.Wants(message) {
		return nil
	}
	return x.out.Send(x.tagged(message))
}

// tagged names the subscription as its client knows it.
func (x *exchange) tagged(message translate.Object) []byte {
	return translate.WithMeta(message, rpc.MetaSubscription, x.req.ID)
}

// over is what the client is told when a modern child's subscription has an
// end: a graceful one, an error, or nothing where the child is gone.
func (x *exchange) over(e event.Event, conn *mux.Conn) {
	switch {
	case !e.Failed:
		x.end()
	case conn.Dead() == nil:
		x.answer(e)
	}
}

// end is the graceful closure (basic/patterns/subscriptions).
func (x *exchange) end() {
	x.out.Last(http.StatusOK, translate.Result(x.req.ID, translate.ListenEnded(x.req.ID)))
}
