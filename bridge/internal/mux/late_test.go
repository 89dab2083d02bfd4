package mux

import (
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// late is a shared child with two busy clients, of which one's call is over.
type late struct {
	*Conn
	t    *testing.T
	heir *Link // has a call open, and must not hear what the other's call asks
	q    *event.Queue
	over *Link
}

// inLate runs f in a bubble, where time passes when everybody sleeps.
func inLate(t *testing.T, f func(*late)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := alone(true)
		heir, q := busyLink(c, "1")
		over, _ := busyLink(c, "2")
		f(&late{c, t, heir, q, over})
	})
}

// believed tells whether a request of the child would now be the heir's.
func (l *late) believed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	link, _ := l.cause(true)
	return link == l.heir
}

// refusedFor checks that a request of the child is refused for exactly d, and
// is the heir's from then on. It runs in the bubble: no time passes.
func (l *late) refusedFor(d time.Duration) {
	l.t.Helper()
	begin := time.Now()
	for step := d / 100; time.Since(begin) < d; time.Sleep(step) {
		if l.believed() {
			l.t.Fatalf("after %s a late request would be another client's", time.Since(begin))
		}
	}
	if !l.believed() {
		l.t.Fatalf("after %s the only busy client is not asked", time.Since(begin))
	}
	routeLine(l.t, l.Conn, `{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{}}`)
	if e, ok, _ := l.q.Pop(); !ok || e.Kind != rpc.Request {
		l.t.Error("the request was not passed on")
	}
}

func (l *late) answer() { routeLine(l.t, l.Conn, `{"jsonrpc":"2.0","id":2,"result":{}}`) }
func (l *late) give()   { l.drop(l.over.calls[0]) }

func TestALateRequestOfACallThatWasGivenUp(t *testing.T) {
	inLate(t, func(l *late) { l.give(); l.refusedFor(30 * time.Second) })
}

func TestALateRequestOfACallThatWasAnswered(t *testing.T) {
	inLate(t, func(l *late) { l.answer(); l.refusedFor(time.Second) })
}

// TestALateAnswerDoesNotShortenTheWait: what was given up may be answered all
// the same, and another call of the same client may be.
func TestALateAnswerDoesNotShortenTheWait(t *testing.T) {
	inLate(t, func(l *late) {
		l.give()
		l.answer()
		call := &Call{Method: "tools/call", link: l.over, sink: event.NewQueue(1), life: time.Minute}
		call.id, call.key = []byte("3"), "3"
		l.calls["3"], l.over.calls = call, append(l.over.calls, call)
		routeLine(l.t, l.Conn, `{"jsonrpc":"2.0","id":3,"result":{}}`)
		l.refusedFor(30 * time.Second)
	})
}

// TestNoWindowWhereNobodyElseCanBeMeant: a client's own call is its own, and a call that can ask for nothing
// opens no window.
func TestNoWindowWhereNobodyElseCanBeMeant(t *testing.T) {
	inLate(t, func(l *late) {
		l.over.caller = l.heir.caller // two links of one session
		l.give()
		if !l.believed() {
			l.t.Error("a client's own call that is over stands in its way")
		}
	})
	inLate(t, func(l *late) {
		l.over.calls[0].Method = "tools/list"
		l.answer()
		if !l.believed() {
			l.t.Error("a list that was answered stands in the way")
		}
	})
}

// TestAFreeClientIsNeverAsked: where nobody has a call open, nobody is meant,
// whatever the windows say.
func TestAFreeClientIsNeverAsked(t *testing.T) {
	inLate(t, func(l *late) {
		l.give()
		l.drop(l.heir.calls[0])
		for _, wait := range []time.Duration{0, 31 * time.Second} {
			time.Sleep(wait) // in the bubble: no time passes
			l.mu.Lock()
			if link, _ := l.cause(true); link != nil {
				l.t.Errorf("after %s one without a call would be asked", wait)
			}
			l.mu.Unlock()
		}
	})
}
