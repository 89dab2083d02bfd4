package stateless

import (
	"context"
	"encoding/json"
	"net/http"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

// exchange is one POST and the call that it is about.
type exchange struct {
	front  *Front
	caller *mux.Caller
	req    *translate.Request
	out    *writer
	lease  *fleet.Lease
	waits  bool // the call is suspended, and keeps the lease
	child  *known
	link   *mux.Link
	queue  *event.Queue
	call   *mux.Call
	asked  []question // requests of the child that the client has not answered
	pulse  <-chan struct{}
	pulses int
}

func (x *exchange) serve(ctx context.Context, h http.Header) {
	conn := x.lease.Conn
	x.child = x.front.children.get(conn)
	if x.req.Method == translate.Discover {
		x.discover(ctx, conn)
		return
	}
	if err := x.child.checkParams(ctx, conn, x.req, h); err != nil {
		if no := x.again(ctx); no != nil { // who may not call it is not told what it wants
			writeFailure(x.out.w, x.req.ID, no)
			return
		}
		writeError(x.out.w, http.StatusBadRequest, x.req.ID, err)
		return
	}
	if x.req.Method == translate.Listen {
		x.listen(ctx, conn)
		return
	}
	if x.req.Params.Has("requestState") || x.req.Params.InOtherCase("requestState") {
		if done := x.resume(ctx); done {
			return
		}
	}
	if err := x.begin(ctx, conn, x.req.ForChild(x.req.ID, nil, !x.child.modern)); err != nil {
		writeFailure(x.out.w, x.req.ID, err)
		return
	}
	x.run(ctx)
}

func (x *exchange) discover(ctx context.Context, conn *mux.Conn) {
	result := translate.Result(x.req.ID, x.child.server.DiscoverResult())
	m, err := rpc.Parse(x.req.Message.Raw())
	if err == nil {
		err = conn.Answered(ctx, x.caller, &m, len(result))
	}
	if err != nil {
		writeFailure(x.out.w, x.req.ID, err)
		return
	}
	x.out.last(http.StatusOK, result)
}

// begin gives the call to the child on a link of its own, so that ids of
// different clients never meet.
func (x *exchange) begin(ctx context.Context, conn *mux.Conn, line []byte) error {
	rpc.OneLine(line) // the whole of it was found to be JSON when its envelope was read
	m, err := rpc.Parse(line)
	if err != nil {
		return &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "Invalid request: " + err.Error()}
	}
	x.queue = event.NewQueue(x.front.opts.Queue)
	x.link, err = conn.Link(mux.LinkOptions{Caller: x.caller, Standing: x.queue})
	if err != nil {
		return err
	}
	x.call, err = x.link.Call(ctx, &m, x.queue)
	if err != nil {
		x.link.Close()
	}
	return err
}

// run hands on what the child says until the answer, the client's end or a
// question. The client's end is the cancellation of the call.
func (x *exchange) run(ctx context.Context) {
	x.queue.OnSlow(x.out.cutOff)
	for {
		event, ok, err := x.queue.Pop()
		if err != nil {
			x.giveUp(err.Error())
			return
		}
		if ok {
			if done := x.handle(event); done {
				return
			}
			continue
		}
		if len(x.asked) > 0 {
			x.suspend()
			return
		}
		select {
		case <-x.queue.Wake():
		case <-x.pulse:
			if x.due() && x.out.canStream() && x.out.comment() != nil {
				x.giveUp("the client is gone")
				return
			}
		case <-ctx.Done():
			x.giveUp("the client is gone")
			x.ended()
			return
		}
	}
}

// giveUp leaves the call without an answer: the stream just ends.
func (x *exchange) giveUp(reason string) {
	x.call.Cancel(reason)
	x.leave()
}

// ended tells a client that is still there that its right to the call is over.
func (x *exchange) ended() {
	if x.out.r.Context().Err() == nil && !x.out.started {
		over := &translate.Error{Code: translate.CodeInvalidRequest, Message: "the login session has ended"}
		x.out.last(http.StatusUnauthorized, over.Response(x.req.ID))
	}
}

// leave lets go of the child.
func (x *exchange) leave() {
	x.link.Close()
	x.lease.Release()
}

func (x *exchange) handle(e event.Event) (done bool) {
	switch {
	case e.Final:
		x.leave()
		if !e.Silent {
			x.answer(e)
		}
		return true
	case e.Kind == rpc.Request:
		x.ask(e)
	case e.Kind == rpc.Notification && x.wants(e.Method) && x.out.canStream():
		if x.out.event(e.Bytes()) != nil {
			x.giveUp("the client is gone")
			return true
		}
	}
	return false
}

// wants tells what belongs on the stream of a request: its progress, and log
// messages only for one that asked (server/utilities/logging).
func (x *exchange) wants(method string) bool {
	return method == translate.Progress || method == translate.LogMessage && x.req.LogLevel != ""
}

func (x *exchange) answer(e event.Event) {
	if e.Failed {
		failure := translate.ModernError(x.req.Method, e.Result())
		x.out.last(translate.Status(failure.Code), failure.Response(x.req.ID))
		return
	}
	result := json.RawMessage(e.Result())
	if x.child.modern {
		result = x.front.seal.outgoing(x.caller, x.req, result)
	}
	x.out.last(http.StatusOK, translate.ModernResponse(x.req.ID, x.req.Method, result, x.child.server.Info))
}

// question is a request of an older child.
type question struct {
	key     string
	id      json.RawMessage // as Respond wants it
	request json.RawMessage // method and params
}

// ask keeps a request of the child for the client, or answers it where the
// client cannot.
func (x *exchange) ask(e event.Event) {
	message, err := translate.Parse(e.Bytes())
	if err != nil {
		return
	}
	id := message.Get("id")
	capability, known := translate.InputMethod(e.Method)
	declared, err := translate.Parse(x.req.Capabilities)
	switch {
	case e.Method == "ping":
		x.reply(translate.Result(id, json.RawMessage("{}")))
	case !known || !translate.MayAskInput(x.req.Method):
		x.reply(translate.MethodNotFound(e.Method).Response(id))
	case err != nil || !declared.Has(capability):
		x.reply((&translate.Error{Code: translate.CodeMethodNotFound, Message: "the client does not support " + capability}).Response(id))
	default:
		x.asked = append(x.asked, question{key: questionKey(), id: id, request: translate.InputRequest(message)})
	}
}

func (x *exchange) reply(line []byte) {
	if m, err := rpc.ParseClient(line); err == nil {
		_ = x.link.Respond(&m) // a child that is gone ends the call by itself
	}
}
