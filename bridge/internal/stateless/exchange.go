package stateless

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"gatehouse/bridge/internal/answer"
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

	message *rpc.Message // that req was read from
	handed  func()       // see answer.Body
	began   func(string) // see Endpoint
	w       http.ResponseWriter
	r       *http.Request
	out     *answer.Stream
	lease   *fleet.Lease
	waits   bool // the call is suspended, and keeps the lease
	once    bool // the call is not sent again: its client has heard of it, or it was
	child   *known
	link    *mux.Link
	queue   *event.Queue
	call    *mux.Call
	asked   []question // requests of the child that the client has not answered
	pulse   <-chan struct{}
	pulses  int
}

func (x *exchange) serve(ctx context.Context, h http.Header) {
	conn := x.lease.Conn
	x.child = x.front.children.get(conn)
	if x.req.Method == rpc.Discover {
		x.discover(ctx, conn)
		return
	}
	if !x.paramsMatch(ctx, conn, h) {
		return
	}
	if x.req.Method == rpc.Listen {
		x.listen(ctx, conn)
		return
	}
	if x.req.Params.Has("requestState") || x.req.Params.InOtherCase("requestState") {
		if done := x.resume(ctx); done {
			return
		}
	}
	if err := x.begin(ctx, conn, x.forChild()); err != nil {
		x.fail(err)
		return
	}
	x.handed()
	x.run(ctx)
}

// paramsMatch compares the Mcp-Param headers of a tool call with its arguments,
// or answers. Who may not call the tool is not told what it wants, and makes
// the server list nothing.
func (x *exchange) paramsMatch(ctx context.Context, conn *mux.Conn, h http.Header) bool {
	err := x.child.checkParams(x.req, h)
	if err == nil {
		return true
	}
	if no := x.allowed(ctx); no != nil {
		writeFailure(x.w, x.req.ID, no)
		return false
	}
	x.child.learn(ctx, conn)
	if err = x.child.checkParams(x.req, h); err == nil || errors.Is(err, errUnlisted) {
		return true // a tool that the server does not list has no annotations
	}
	var wrong *rpc.Error
	errors.As(err, &wrong)
	writeError(x.w, http.StatusBadRequest, x.req.ID, wrong)
	return false
}

func (x *exchange) discover(ctx context.Context, conn *mux.Conn) {
	result := translate.Result(x.req.ID, x.child.server.DiscoverResult())
	m, err := rpc.Reparse(x.req.Message.Raw())
	if err == nil {
		err = conn.Answered(ctx, x.caller, &m, len(result))
	}
	if err != nil {
		writeFailure(x.w, x.req.ID, err)
		return
	}
	x.out.Last(http.StatusOK, result)
}

// begin gives the call to the child on a link of its own, so that ids of
// different clients never meet.
func (x *exchange) begin(ctx context.Context, conn *mux.Conn, line []byte) error {
	m, err := rpc.Reparse(line)
	if err != nil {
		return &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "Invalid request: " + err.Error()}
	}
	queue := event.NewQueue(x.front.opts.Queue)
	queue.OnSlow(x.out.Break)
	link, err := conn.Link(mux.LinkOptions{Caller: x.caller, Standing: queue})
	if err != nil {
		return err // the child has ended: a call that was sent before keeps what it had
	}
	call, err := link.Call(ctx, &m, queue)
	if err != nil {
		link.Close()
		return err
	}
	x.queue, x.link, x.call = queue, link, call
	return nil
}

// run hands on what the child says until the answer, the client's end or a
// question. The client's end is the cancellation of the call.
func (x *exchange) run(ctx context.Context) {
	for {
		event, ok, err := x.queue.Pop()
		if err != nil {
			x.giveUp(err.Error())
			if !x.out.Begun() { // more than may wait came at once
				x.out.Last(http.StatusOK, rpc.Errorf(rpc.CodeInternal, "%v", err).Body(x.req.ID))
			}
			return
		}
		if ok {
			if event.Lost && x.again(ctx, event) {
				continue
			}
			if done := x.handle(event); done {
				return
			}
			continue
		}
		if len(x.asked) > 0 {
			x.suspend(ctx)
			return
		}
		select {
		case <-x.queue.Wake():
		case <-x.pulse:
			if x.due() && x.streams() && x.out.Comment() != nil {
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
	if x.r.Context().Err() == nil && !x.out.Begun() {
		over := &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "the login session has ended"}
		x.out.Last(http.StatusUnauthorized, over.ModernBody(x.req.ID))
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
	case e.Kind == rpc.Notification && x.wants(e.Method) && x.streams():
		x.once = true
		if x.out.Send(e.Bytes()) != nil {
			x.giveUp("the client is gone")
			return true
		}
	}
	return false
}

// streams reports whether the client takes a stream.
func (x *exchange) streams() bool { return answer.Accepts(x.r.Header, "text/event-stream") }

// wants tells what belongs on the stream of a request: its progress, and log
// messages only for one that asked (server/utilities/logging).
func (x *exchange) wants(method string) bool {
	return method == rpc.Progress || method == rpc.LogMessage && x.req.LogLevel != ""
}

func (x *exchange) answer(e event.Event) {
	if e.Failed {
		code, failure := translate.ModernError(x.req.Method, e.Result())
		x.out.Last(statusOf(code), translate.Failure(x.req.ID, failure))
		return
	}
	result := json.RawMessage(e.Result())
	if task := rpc.TaskOf(x.req.Method, result); task != "" && x.began != nil {
		x.began(task)
	}
	if x.child.modern {
		result = x.front.seal.outgoing(x.caller, x.req, result)
	}
	x.out.Last(http.StatusOK, translate.ModernResponse(x.req.ID, x.req.Method, result, x.child.server.Info))
}

// question is a request of an older child.
type question struct {
	key     string
	id      json.RawMessage // as Respond wants it
	request json.RawMessage // method and params
}

const maxAsked = 64 // questions of one call at once

// ask keeps a request of the child for the client, or answers it where the
// client cannot.
func (x *exchange) ask(e event.Event) {
	message, err := translate.Parse(e.Bytes())
	if err != nil {
		return
	}
	id := message.Get("id")
	capability, known := rpc.InputMethod(e.Method)
	declared, err := translate.Parse(x.req.Capabilities)
	switch {
	case e.Method == "ping":
		x.reply(translate.Result(id, json.RawMessage("{}")))
	case !known || !rpc.MayAskInput(x.req.Method):
		x.reply(rpc.MethodNotFound(e.Method).Body(id))
	case err != nil || !declared.Has(capability):
		x.reply(rpc.Errorf(rpc.CodeMethodNotFound, "the client does not support %s", capability).Body(id))
	case len(x.asked) == maxAsked:
		full := rpc.Errorf(rpc.CodeInternal, "%d questions of this call are open, the most that it may have", maxAsked)
		x.reply(full.Body(id))
	default:
		x.asked = append(x.asked, question{key: questionKey(), id: id, request: translate.InputRequest(message)})
	}
}

func (x *exchange) reply(line []byte) {
	if m, err := rpc.Reparse(line); err == nil {
		_ = x.link.Respond(&m) // a child that is gone ends the call by itself
	}
}
