package mux

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// busyLink is a link of a bare Conn with one call of its own in flight.
func busyLink(c *Conn, key string) (*Link, *event.Queue) {
	q := event.NewQueue(1 << 20)
	l := &Link{conn: c, standing: q, caller: &Caller{Session: "session " + key}}
	call := &Call{Method: "tools/call", link: l, sink: q, id: []byte(key), key: key, life: time.Minute}
	call.touch(time.Now())
	c.links[l], c.calls[key] = struct{}{}, call
	l.calls = append(l.calls, call)
	return l, q
}

func TestASharedChildsWordsBelongToNobodyWhileTheyMayBeAnothers(t *testing.T) {
	c := alone(true)
	one, _ := busyLink(c, "1")
	other, _ := busyLink(c, "2")
	cause := func() *Link {
		c.mu.Lock()
		defer c.mu.Unlock()
		l, _ := c.cause(true)
		return l
	}
	if cause() != nil {
		t.Error("two are busy, and one was chosen")
	}
	given := other.calls[0]
	if !c.drop(given) || c.drop(given) {
		t.Error("a call can be dropped once")
	}
	if cause() != nil {
		t.Error("the child may still work on the call that was given up")
	}
	c.Sweep(time.Now().Add(lateDropped + time.Second)) // its call of a minute is not late
	if cause() != one {
		t.Error("after a while the only busy client is the one")
	}
	if c.stale["2"].IsZero() {
		t.Error("the id that was given up is free again")
	}
	one.calls[0].touch(time.Now().Add(time.Hour))
	c.Sweep(time.Now().Add(staleFor + time.Second))
	if len(c.stale) != 0 {
		t.Error("an id that the child never answers is remembered for ever")
	}
}

// TestCallsWithoutASessionHaveTheirIdentityAsOwner: each has a link of its own,
// and a call that asks may follow another of the same identity at once.
func TestCallsWithoutASessionHaveTheirIdentityAsOwner(t *testing.T) {
	c := alone(true)
	one, _ := busyLink(c, "1")
	before, _ := busyLink(c, "2")
	other, _ := busyLink(c, "3")
	for l, user := range map[*Link]string{one: "alice", before: "alice", other: "bob"} {
		l.caller = &Caller{Identity: &contract.Identity{Subject: user}}
	}
	c.drop(before.calls[0])
	c.drop(other.calls[0])
	delete(c.mayAsk, other.owner())
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, _ := c.cause(true); got != one {
		t.Error("a call of the same identity stands in the way")
	}
	c.mayAsk[other.owner()] = time.Now().Add(time.Second)
	if got, _ := c.cause(true); got != nil {
		t.Error("another identity's call that is over may still ask")
	}
}

// TestACallOfTheBridgesOwnMakesNobodyWait: a child may be silent on
// server/discover, which is then given up, and can ask nothing because of it.
func TestACallOfTheBridgesOwnMakesNobodyWait(t *testing.T) {
	c := alone(true)
	one, _ := busyLink(c, "1")
	own, _ := busyLink(c, "2")
	own.caller = nil
	c.drop(own.calls[0])
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, _ := c.cause(true); got != one {
		t.Error("the only client with a call open is not asked")
	}
}

func TestAChildOfOneClientMayAskAtAnyTime(t *testing.T) {
	c := alone(false)
	l, _ := busyLink(c, "1")
	c.drop(l.calls[0])
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, _ := c.cause(true); got != l {
		t.Error("its only client was not found")
	}
}

// TestCallsThatWereGivenUpAreBounded: a client whose calls are never answered is
// refused before an id could be forgotten that the child may still answer.
func TestCallsThatWereGivenUpAreBounded(t *testing.T) {
	c, _, l, q := onPaper(t)
	for n := range maxStale {
		call, err := asks(t, l, q, fmt.Sprint(n))
		if err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		call.Cancel("it is not wanted")
	}
	var refusal *Refusal
	if _, err := asks(t, l, q, "0"); !errors.As(err, &refusal) || !refusal.Full {
		t.Errorf("with %d ids that may still be answered: %v", len(c.stale), err)
	}
	c.Sweep(time.Now().Add(staleFor + time.Second))
	if _, err := asks(t, l, q, "0"); err != nil {
		t.Errorf("after a while: %v", err)
	}
}

// TestARequestIsNoNotification: what has an id and the name of a notification
// reaches no child, where it would name a call of somebody else.
func TestARequestIsNoNotification(t *testing.T) {
	_, child, l, q := onPaper(t)
	for _, method := range []string{"notifications/cancelled", "notifications/initialized", "notifications/x"} {
		m, err := rpc.ParseClient([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"requestId":1}}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Call(t.Context(), &m, q)
		var no *rpc.Error
		if !errors.As(err, &no) || no.Code != rpc.CodeMethodNotFound {
			t.Errorf("%s with an id: %v", method, err)
		}
	}
	if len(child.lines) != 0 || l.Busy() {
		t.Errorf("the child heard %q", child.lines)
	}
}
