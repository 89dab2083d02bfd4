package mux

import (
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// On a shared child a resource is subscribed to once for all who want it, so
// each link remembers its own, and an unsubscribe reaches the child only with
// the last of them. They must reach the child in the order in which they were
// counted; Conn.subs is held from the one to the other.

const (
	MethodSubscribe   = "resources/subscribe"
	MethodUnsubscribe = "resources/unsubscribe"
	methodListen      = "subscriptions/listen"
	MethodSetLevel    = "logging/setLevel"
)

const maxSubscribed = 128 << 10 // bytes of what one client of a shared child is subscribed to

// subscribes tells whether a method changes what a client is subscribed to.
func subscribes(method string) bool {
	return method == MethodSubscribe || method == MethodUnsubscribe
}

// subscription looks at a call before it goes to a shared child. alone says
// that it does not go there: an unsubscribe that other links stand against. The
// lock is held.
func (l *Link) subscription(call *Call, m *rpc.Message) (alone bool, err error) {
	if !subscribes(call.Method) {
		return false, nil
	}
	call.uri = m.URI()
	if call.Method == MethodSubscribe {
		if l.caller != nil && l.uriBytes+len(call.uri) > maxSubscribed {
			return false, &Refusal{Full: true, Retry: time.Minute, Reason: fmt.Sprintf(
				"the subscriptions of this client have more than %d bytes, the most that it may have", maxSubscribed)}
		}
		return false, nil
	}
	if l.subscribed(call.uri) {
		delete(l.uris, call.uri)
		l.uriBytes -= len(call.uri)
	}
	if !l.conn.wanted(call.uri, l) {
		return false, nil
	}
	call.deliver(event.Event{Kind: rpc.Response, Final: true, Line: rpc.ResultBody(call.id, []byte("{}"))}, "ok")
	return true, nil
}

// wanted tells whether a link but this one is subscribed, or is about to be.
// The lock is held.
func (c *Conn) wanted(uri string, but *Link) bool {
	for l := range c.links {
		if l != but && l.subscribed(uri) {
			return true
		}
	}
	for _, call := range c.calls {
		if call.link != but && call.Method == MethodSubscribe && call.uri == uri {
			return true
		}
	}
	return false
}

// note remembers a subscription that the child accepted. The lock is held.
func (l *Link) note(call *Call, failed bool) {
	if call.Method != MethodSubscribe || failed || call.uri == "" || l.subscribed(call.uri) {
		return
	}
	if l.uris == nil {
		l.uris = map[string]struct{}{}
	}
	l.uris[call.uri] = struct{}{}
	l.uriBytes += len(call.uri)
}

func (l *Link) subscribed(uri string) bool {
	_, ok := l.uris[uri]
	return ok
}

// unsubscribe tells the child what nobody wants any more.
func (c *Conn) unsubscribe(uri string) {
	c.subs.Lock()
	defer c.subs.Unlock()
	c.mu.Lock()
	wanted, id := c.wanted(uri, nil), c.freshKey()
	if !wanted {
		c.outdate(id, time.Now()) // its answer is for nobody
	}
	c.mu.Unlock()
	if wanted {
		return
	}
	name, _ := json.Marshal(uri) // a string always has a form in JSON
	c.Tell([]byte(`{"jsonrpc":"2.0","id":` + id + `,"method":"` + MethodUnsubscribe +
		`","params":{"uri":` + string(name) + `}}`))
}
