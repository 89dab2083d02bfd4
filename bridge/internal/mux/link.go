package mux

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// Link is one client's end of a Conn.
type Link struct {
	conn      *Conn
	caller    *Caller
	standing  event.Sink  // what belongs to no call
	listening func() bool // whether somebody reads standing now; nil means yes
	lost      func()      // called once when the child is gone; may be nil
	several   bool        // see LinkOptions
	most      int         // calls in flight

	// under conn.mu
	calls    []*Call
	uris     map[string]struct{}
	uriBytes int
}

// LinkOptions say where a link's events go. Lost runs on the reader of the
// child and must not block.
type LinkOptions struct {
	Caller    *Caller
	Standing  event.Sink
	Listening func() bool
	Lost      func()
	// Several says that its calls are carried for others: the ids of two may be
	// the same, and each is answered where the link is closed.
	Several bool
	Calls   int // in flight at most; 0 is what the Conn lets a client have
}

// Link joins a client to the child. Close it.
func (c *Conn) Link(o LinkOptions) (*Link, error) {
	l := &Link{conn: c, caller: o.Caller, standing: o.Standing, listening: o.Listening, lost: o.Lost,
		several: o.Several, most: cmp.Or(o.Calls, c.o.Bounds.Calls)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return nil, c.dead
	}
	c.links[l] = struct{}{}
	return l, nil
}

// Conn is the other end.
func (l *Link) Conn() *Conn { return l.conn }

// Close leaves the child: calls in flight are cancelled there, and what the
// child asked of this client is refused. It waits for no child that does not
// read: whoever ends a session may have others to end.
func (l *Link) Close() {
	c := l.conn
	c.mu.Lock()
	delete(c.links, l)
	calls := append([]*Call(nil), l.calls...)
	var open [][]byte
	for key, q := range c.asked {
		if q.link == l {
			delete(c.asked, key)
			open = append(open, q.childID)
		}
	}
	gone, uris := c.dead != nil || !c.o.Shared, l.uris
	c.mu.Unlock()
	var dropped []*Call
	for _, call := range calls {
		if !c.drop(call) {
			continue
		}
		dropped = append(dropped, call)
		if l.several {
			call.fail("cancelled", &rpc.Error{Code: rpc.CodeSession, Message: event.ErrEnded.Error()})
		} else {
			call.undelivered("cancelled")
		}
	}
	if !gone && len(dropped)+len(open)+len(uris) > 0 {
		c.tellGone(dropped, open, uris)
	}
}

// tellGone tells the child that a client left with these calls in flight, these
// questions open, and subscribed to these.
func (c *Conn) tellGone(calls []*Call, open [][]byte, uris map[string]struct{}) {
	const why = "the client is gone"
	for _, call := range calls {
		c.tellCancelled(call, why)
	}
	for _, id := range open {
		c.refuse(id, why)
	}
	for uri := range uris {
		c.unsubscribe(uri)
	}
}

// Call sends a request whose events go to sink: progress, requests that it
// caused, and last a Final one. The error is a *Refusal or an *rpc.Error, and
// then sink gets nothing.
func (l *Link) Call(ctx context.Context, m *rpc.Message, sink event.Sink) (*Call, error) {
	return l.CallAs(ctx, l.caller, m, sink)
}

// CallAs is Call for a caller that another request showed; a nil one is the
// bridge itself, about which no Guard is asked.
func (l *Link) CallAs(ctx context.Context, who *Caller, m *rpc.Message, sink event.Sink) (*Call, error) {
	call := &Call{Method: m.Method, link: l, sink: sink, life: l.conn.o.Bounds.CallTime}
	call.id, call.token, call.Name = m.Own(m.ID()), m.Own(m.Token()), m.Name()
	if call.Name == "" {
		call.Name = m.URI()
	}
	call.touch(time.Now())
	if m.Method == "initialize" && call.life > l.conn.o.Bounds.Start {
		call.life = l.conn.o.Bounds.Start
		call.touch(time.Now().Add(time.Second)) // a front that waits itself answers first
	}
	if who != nil {
		call.user = &who.Identity.Subject
	}
	carry, err := l.carry(ctx, who, m)
	if err != nil {
		return nil, err
	}
	call.carried = carry != nil
	var also rpc.Edit
	if g := l.conn.o.Guard; g != nil && who != nil && !call.carried {
		info := CallInfo{Caller: who, Method: m.Method, Name: call.Name, Message: m}
		w, err := g.Begin(ctx, &info)
		if err != nil {
			return nil, err
		}
		call.watch, also = w, info.Edit
	}
	if l.conn.o.Shared && subscribes(m.Method) {
		l.conn.subs.Lock()
		defer l.conn.subs.Unlock()
	}
	done, err := l.enter(call, m)
	if err != nil {
		l.conn.o.Stats.Refused.Add(1)
		call.undelivered("refused")
		return nil, err
	}
	switch {
	case done:
		return call, nil
	case call.carried:
		return call, call.give(carry)
	}
	return call, l.send(who, call, m, also)
}

// enter puts the call into the tables. done says that it was answered here.
func (l *Link) enter(call *Call, m *rpc.Message) (done bool, err error) {
	if strings.HasPrefix(call.Method, notifications) {
		// The child may not look at the id, and take it for the notification: one
		// that names a call would end that of whoever shares the child.
		return false, rpc.MethodNotFound(call.Method)
	}
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return false, c.dead
	}
	if _, ok := c.links[l]; !ok {
		return false, &rpc.Error{Code: rpc.CodeSession, Message: event.ErrEnded.Error()}
	}
	for _, other := range l.calls {
		if !l.several && rpc.Same(other.id, call.id) {
			return false, ErrDuplicate
		}
	}
	if len(l.calls) >= l.most {
		return false, &Refusal{Full: true, Retry: time.Second,
			Reason: fmt.Sprintf("%d calls are in flight for this client, the most it may have", len(l.calls))}
	}
	if !c.o.Shared && len(c.stale)+len(c.calls) >= maxStale {
		return false, &Refusal{Full: true, Retry: time.Minute, Reason: fmt.Sprintf(
			"%d calls of this client were given up within %s and never answered by the server, the most that may be",
			len(c.stale), staleFor)}
	}
	if c.o.Shared {
		if err := c.mayName(call, m); err != nil {
			return false, err
		}
		if alone, err := l.subscription(call, m); alone || err != nil {
			return alone, err
		}
	}
	c.assign(call)
	c.heard(call.Method)
	l.calls = append(l.calls, call)
	return false, nil
}

// assign chooses the id and the token that the child will see. The lock is
// held.
func (c *Conn) assign(call *Call) {
	if !c.o.Shared && rpc.Plain(call.id) && !c.taken(string(call.id)) {
		call.key = string(call.id)
	} else {
		call.key = c.freshKey()
	}
	c.calls[call.key] = call
	c.order++
	call.order = c.order
	if c.called.IsZero() {
		c.called = time.Now()
	}
	if len(call.token) == 0 {
		return
	}
	_, taken := c.tokens[string(call.token)]
	switch {
	case c.o.Shared:
		call.tokenKey = call.key
	case rpc.Plain(call.token) && !taken:
		call.tokenKey = string(call.token)
	default:
		call.tokenKey = c.freshKey()
	}
	c.tokens[call.tokenKey] = call
}

func (l *Link) send(who *Caller, call *Call, m *rpc.Message, also rpc.Edit) error {
	edits := &call.edits
	edits[2] = also
	if call.key != string(call.id) {
		edits[0] = rpc.Edit{At: m.IDSpan(), With: []byte(call.key)}
	}
	if call.tokenKey != "" && call.tokenKey != string(call.token) {
		edits[1] = rpc.Edit{At: m.TokenSpan(), With: []byte(call.tokenKey)}
	}
	c := l.conn
	withdraw, err := c.writeAs(who, m.Line, edits[:]...)
	if err != nil {
		if !c.drop(call) {
			return nil // it was answered meanwhile
		}
		call.undelivered("refused")
		c.o.Stats.Refused.Add(1)
		return err
	}
	if withdraw == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[call.key] != call { // it is over, and nobody looks at it under the lock any more
		withdraw()
		return nil
	}
	call.withdraw = withdraw
	return nil
}

// notifications is what the name of each begins with, and of no request.
const notifications = "notifications/"

// Notify passes a notification of the caller on, where the guard lets it. One
// that names a call names it as the child knows it; one for a call that is over
// goes nowhere.
func (l *Link) Notify(ctx context.Context, who *Caller, m *rpc.Message) error {
	if !strings.HasPrefix(m.Method, notifications) {
		return &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "a notification must be named notifications/..."}
	}
	if m.Method == "notifications/cancelled" {
		return l.cancel(m)
	}
	if err := l.conn.Again(ctx, who, m); err != nil {
		return err
	}
	if l.conn.o.Shared && (m.Method == "notifications/initialized" || m.Method == "notifications/roots/list_changed") {
		return nil // the bridge initialised this child, for more than one client
	}
	l.conn.hears(m.Method)
	_, err := l.conn.writeAs(who, m.Line)
	return err
}

func (l *Link) cancel(m *rpc.Message) error {
	c := l.conn
	c.mu.Lock()
	var call *Call
	for _, each := range l.calls {
		if rpc.Key(each.id) == rpc.Key(m.Cancels()) {
			call = each
			break
		}
	}
	c.mu.Unlock()
	if call == nil {
		return nil
	}
	return call.cancelledBy(m)
}

// cancelledBy gives the call up with the client's own notification.
func (c *Call) cancelledBy(m *rpc.Message) error {
	conn := c.link.conn
	if !conn.drop(c) {
		return nil
	}
	c.silence()
	switch {
	case c.inner != nil:
		return c.inner.cancelledBy(m)
	case c.carried, c.untold:
		return nil
	}
	_, err := conn.write(m.Line, rpc.Edit{At: m.CancelSpan(), With: []byte(c.key)})
	return err
}

// Respond gives the child the answer to a request that it sent to this client.
// An answer that nobody asked for goes nowhere.
func (l *Link) Respond(m *rpc.Message) error {
	c := l.conn
	c.mu.Lock()
	q, ok := rpc.Find(c.asked, m.ID())
	if !ok || q.link != l {
		c.mu.Unlock()
		c.o.Stats.Dropped.Add(1)
		return nil
	}
	delete(c.asked, rpc.Key(m.ID()))
	c.heard(q.method)
	c.mu.Unlock()
	_, err := c.write(m.Line, rpc.Edit{At: m.IDSpan(), With: q.childID})
	return err
}

// Busy reports whether a call is in flight.
func (l *Link) Busy() bool {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	return len(l.calls) > 0
}

// Leave is Close for a link of the bridge's own on a child that others keep.
func (l *Link) Leave() {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	delete(l.conn.links, l)
}
