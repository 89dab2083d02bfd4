package session

import (
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// busyLink is a link of a bare Conn with one call of its own in flight.
func busyLink(c *Conn, key string) (*Link, *Queue) {
	q := NewQueue(1 << 20)
	l := &Link{conn: c, standing: q, caller: &Caller{Session: "session " + key}}
	call := &Call{Method: "tools/call", link: l, sink: q, id: []byte(key), key: key, life: time.Minute}
	call.touch(time.Now())
	c.links[l], c.calls[key] = struct{}{}, call
	l.calls = append(l.calls, call)
	return l, q
}

func TestASharedChildsWordsBelongToNobodyWhileTheyMayBeAnothers(t *testing.T) {
	c := bare(true)
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
	c.sweep(time.Now().Add(lateDropped + time.Second)) // its call of a minute is not late
	if cause() != one {
		t.Error("after a while the only busy client is the one")
	}
	if c.stale["2"].IsZero() {
		t.Error("the id that was given up is free again")
	}
	one.calls[0].touch(time.Now().Add(time.Hour))
	c.sweep(time.Now().Add(staleFor + time.Second))
	if len(c.stale) != 0 {
		t.Error("an id that the child never answers is remembered for ever")
	}
}

// TestCallsWithoutASessionHaveTheirIdentityAsOwner: each has a link of its own,
// and a call that asks may follow another of the same identity at once.
func TestCallsWithoutASessionHaveTheirIdentityAsOwner(t *testing.T) {
	c := bare(true)
	one, _ := busyLink(c, "1")
	before, _ := busyLink(c, "2")
	other, _ := busyLink(c, "3")
	for l, user := range map[*Link]string{one: "alice", before: "alice", other: "bob"} {
		l.caller = &Caller{Identity: &contract.Identity{Subject: user}}
	}
	c.drop(before.calls[0])
	c.drop(other.calls[0])
	delete(c.late, other.owner())
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, _ := c.cause(true); got != one {
		t.Error("a call of the same identity stands in the way")
	}
	c.late[other.owner()] = time.Now().Add(time.Second)
	if got, _ := c.cause(true); got != nil {
		t.Error("another identity's call that is over may still ask")
	}
}

// TestACallOfTheBridgesOwnMakesNobodyWait: a child may be silent on
// server/discover, which is then given up, and can ask nothing because of it.
func TestACallOfTheBridgesOwnMakesNobodyWait(t *testing.T) {
	c := bare(true)
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
	c := bare(false)
	l, _ := busyLink(c, "1")
	c.drop(l.calls[0])
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, _ := c.cause(true); got != l {
		t.Error("its only client was not found")
	}
}

func TestBreakerOpensDoublesAndCloses(t *testing.T) {
	var b breaker
	now := time.Now()
	for range freeFails {
		b.bad(now, "it is broken")
	}
	if b.refusal(now) != nil {
		t.Fatal("the first failures cost nothing")
	}
	last := time.Duration(0)
	for range 12 {
		b.bad(now, "it is broken")
		r := b.refusal(now)
		if r == nil || r.Full || r.Retry < last || r.Retry > breakerLast || !strings.Contains(r.Reason, "it is broken") {
			t.Fatalf("refusal %+v after %s", r, last)
		}
		last = r.Retry
	}
	if last != breakerLast || b.refusal(now.Add(breakerLast)) != nil {
		t.Errorf("the last wait is %s, and must end", last)
	}
	b.good()
	if b.refusal(now) != nil {
		t.Error("a server that spoke is refused")
	}
}

// TestADrainIsNotUndone by authsvc that answers again meanwhile (Contract 3).
func TestADrainIsNotUndone(t *testing.T) {
	server := NewServer(ServerConfig{Limits: DefaultLimits()})
	table := NewTable("", DefaultLimits(), server)
	table.Drain(t.Context())
	table.Refuse(nil)
	if _, err := table.Open(server, contract.Identity{Subject: "late"}, "sse"); err == nil {
		t.Error("a session was opened after the drain")
	}
	if err := table.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSlowReaderIsToldOnce(t *testing.T) {
	q := NewQueue(4)
	told := 0
	q.OnSlow(func() { told++ })
	for range 5 {
		q.Push(Message(rpc.Notification, []byte("four")))
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	q.OnSlow(func() { told++ }) // one who comes later learns it too
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}
