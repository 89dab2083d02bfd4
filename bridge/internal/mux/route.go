package mux

import (
	"fmt"
	"strings"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// route gives one message of the child to whom it belongs.
func (c *Conn) route(m *rpc.Message) {
	switch m.Kind {
	case rpc.Response:
		c.routeResponse(m)
	case rpc.Request:
		c.routeRequest(m)
	case rpc.Notification:
		c.routeNotification(m)
	}
}

func (c *Conn) routeResponse(m *rpc.Message) {
	c.mu.Lock()
	call, ok := rpc.Find(c.calls, m.ID())
	if !ok {
		_, expected := rpc.Find(c.stale, m.ID())
		delete(c.stale, rpc.Key(m.ID()))
		c.mu.Unlock()
		if !expected {
			c.unasked(m)
		}
		return
	}
	c.answered(call, m.Failed, m.Result())
	c.mu.Unlock()
	call.finish(m)
}

// answered takes a call out of the tables, with what is to be remembered of its
// answer. The lock is held.
func (c *Conn) answered(call *Call, failed bool, result []byte) {
	c.forget(call)
	if c.o.Shared && mayCause(call.Method) {
		c.mayAskUntil(call.link, time.Now().Add(lateAnswered))
	}
	call.link.note(call, failed)
	c.heard(call.Method)
	if !failed {
		c.noteTask(call, result)
		c.noteDue(result)
	}
}

// unasked counts an answer that belongs to no call.
func (c *Conn) unasked(m *rpc.Message) {
	if n := c.o.Stats.Dropped.Add(1); seldom(n) {
		c.o.Log.Warn().Str("id", rpc.Clip(string(m.ID()), 64)).Int64("so_far", n).Msg("the server answered what nobody asked")
	}
}

// mayCause tells whether a server may ask its client something in order to
// answer this method.
func mayCause(method string) bool {
	switch method {
	case "tools/call", "prompts/get", "resources/read", "completion/complete":
		return true
	}
	return false
}

// routeRequest passes a request of the child to the client that caused it.
func (c *Conn) routeRequest(m *rpc.Message) {
	if c.o.Shared && m.Method == "ping" {
		c.Tell(rpc.ResultBody(m.ID(), []byte("{}")))
		return
	}
	c.ask(m, func() (*Link, event.Sink) { return c.cause(true) })
}

// ask passes a request of the child to a client; whom is asked for it under the
// lock.
func (c *Conn) ask(m *rpc.Message, whom func() (*Link, event.Sink)) {
	c.mu.Lock()
	link, sink := whom()
	if len(c.asked) >= maxAsked {
		c.mu.Unlock()
		c.o.Stats.Dropped.Add(1)
		c.refuse(m.ID(), fmt.Sprintf("%d requests of this server wait for an answer, the most that may", maxAsked))
		return
	}
	if link == nil {
		c.mu.Unlock()
		c.o.Stats.Dropped.Add(1)
		c.refuse(m.ID(), "no single client caused this request")
		return
	}
	e := event.Event{Kind: rpc.Request, Method: m.Method, Line: m.Line}
	key := string(m.ID())
	if _, taken := c.asked[key]; taken || !rpc.Plain(m.ID()) {
		key = c.freshKey()
		e.Edit = rpc.Edit{At: m.IDSpan(), With: []byte(key)}
	}
	c.asked[key] = question{link, m.ID(), time.Now(), m.Method}
	c.heard(m.Method)
	c.mu.Unlock()
	if !sink.Push(e) {
		c.unask(key)
		c.refuse(m.ID(), "the client does not listen")
	}
}

func (c *Conn) unask(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asked, key)
}

// refuse answers the child in its client's place. The reader may do so, for
// nothing that is written waits for the child to read it.
func (c *Conn) refuse(id []byte, why string) {
	c.Tell((&rpc.Error{Code: rpc.CodeInternal, Message: why}).Body(id))
}

// cause finds the client that a message without an address belongs to: the
// only one there is, or the only one with calls in flight. Calls without a
// session that one identity has in flight are one client's: the newest of them
// is asked, and the child knows for which it wanted the answer. On a shared
// child it is nobody while the message may still be about another's call that
// is over. The bridge itself is never asked. A request goes with the newest
// call, where one is open; the rest to the standing stream while somebody reads
// it. The lock is held.
func (c *Conn) cause(request bool) (*Link, event.Sink) {
	var one, own *Link
	for l := range c.links {
		if l.caller == nil {
			own = l
			continue
		}
		if c.o.Shared && len(l.calls) == 0 {
			continue
		}
		switch {
		case one == nil:
			one = l
		case !c.o.Shared || l.caller.Session != "" || l.owner() != one.owner():
			return nil, nil
		case l.newest().order > one.newest().order:
			one = l
		}
	}
	if one == nil && own != nil && !request {
		return own, Discard{} // it says so to the bridge, which makes it ready
	}
	if one == nil || c.mayBeAnothers(one) {
		return nil, nil
	}
	if len(one.calls) > 0 && (request || c.o.Shared || !one.listens()) {
		return one, one.newest().sink
	}
	return one, c.aside(one)
}

// aside is where a message goes that belongs to no call. The lock is held.
func (c *Conn) aside(l *Link) event.Sink {
	if l.listens() {
		return l.standing
	}
	return event.Unheard(l.standing, &c.o.Stats.Dropped)
}

func (l *Link) listens() bool { return l.listening == nil || l.listening() }

// newest is the call that was made last. The lock is held.
func (l *Link) newest() *Call { return l.calls[len(l.calls)-1] }

func (c *Conn) routeNotification(m *rpc.Message) {
	c.hears(m.Method)
	e := event.Event{Kind: rpc.Notification, Method: m.Method, Line: m.Line}
	switch {
	case m.Method == "notifications/progress" && len(m.Token()) > 0:
		c.routeProgress(m, e)
	case m.Method == "notifications/cancelled":
		c.routeCancelled(m, e)
	case m.Subscription() != nil:
		c.routeSubscribed(m, e)
	case c.o.Shared && m.Method == "notifications/resources/updated":
		c.broadcast(e, func(l *Link) bool { return l.subscribed(m.URI()) })
	case c.o.Shared && m.Method == methodTaskTold:
		c.mu.Lock()
		to := c.ofTask(m)
		c.mu.Unlock()
		c.broadcast(e, to)
	case c.o.Shared && strings.HasSuffix(m.Method, "/list_changed"):
		c.broadcast(e, func(*Link) bool { return true })
	default:
		c.routeCaused(e)
	}
}

// routeSubscribed gives a notification to the subscriptions/listen call that it
// names (2026-07-28). The name is the id that the child knows.
func (c *Conn) routeSubscribed(m *rpc.Message, e event.Event) {
	c.mu.Lock()
	call, ok := rpc.Find(c.calls, m.Subscription())
	c.mu.Unlock()
	if !ok || !call.sink.Push(e) {
		c.o.Stats.Dropped.Add(1)
	}
}

func (c *Conn) routeCaused(e event.Event) {
	c.mu.Lock()
	_, sink := c.cause(false)
	c.mu.Unlock()
	if sink == nil || !sink.Push(e) {
		c.o.Stats.Dropped.Add(1)
	}
}

func (c *Conn) routeProgress(m *rpc.Message, e event.Event) {
	c.mu.Lock()
	call, ok := rpc.Find(c.tokens, m.Token())
	c.mu.Unlock()
	if !ok {
		if c.o.Shared {
			c.o.Stats.Dropped.Add(1)
			return
		}
		c.routeCaused(e)
		return
	}
	call.touch(time.Now())
	if string(m.Token()) != string(call.token) {
		e.Edit = rpc.Edit{At: m.TokenSpan(), With: call.token}
	}
	call.sink.Push(e)
}

// routeCancelled tells the client that was asked that the child wants no
// answer any more.
func (c *Conn) routeCancelled(m *rpc.Message, e event.Event) {
	cancelled := rpc.Key(m.Cancels())
	c.mu.Lock()
	var to event.Sink
	for key, q := range c.asked {
		if rpc.Key(q.childID) == cancelled {
			delete(c.asked, key)
			to = c.aside(q.link)
			if n := len(q.link.calls); n > 0 {
				to = q.link.calls[n-1].sink
			}
			if key != string(m.Cancels()) {
				e.Edit = rpc.Edit{At: m.CancelSpan(), With: []byte(key)}
			}
			break
		}
	}
	c.mu.Unlock()
	if to == nil || !to.Push(e) {
		c.o.Stats.Dropped.Add(1)
	}
}

func (c *Conn) broadcast(e event.Event, to func(*Link) bool) {
	c.mu.Lock()
	var sinks []event.Sink
	for l := range c.links {
		if to(l) {
			sinks = append(sinks, c.aside(l))
		}
	}
	c.mu.Unlock()
	for _, s := range sinks {
		s.Push(e)
	}
}
