package mux

import (
	"fmt"
	"maps"
	"time"
)

// Sweep answers the calls whose time is over, and refuses what the child asked
// and nobody answered.
func (c *Conn) Sweep(now time.Time) {
	var overdue []*Call
	var unanswered [][]byte
	c.mu.Lock()
	for _, call := range c.calls {
		if call.overdue(now) {
			overdue = append(overdue, call)
		}
	}
	for key, q := range c.asked {
		if now.Sub(q.since) > c.o.Bounds.CallTime {
			delete(c.asked, key)
			unanswered = append(unanswered, q.childID)
		}
	}
	maps.DeleteFunc(c.stale, func(_ string, since time.Time) bool { return now.Sub(since) > staleFor })
	maps.DeleteFunc(c.mayAsk, func(_ owner, until time.Time) bool { return now.After(until) })
	c.mu.Unlock()
	for _, call := range overdue {
		if c.drop(call) {
			call.fail("timeout", call.timeout())
			c.tellCancelled(call, "the time for this call is over")
		}
	}
	for _, id := range unanswered {
		c.refuse(id, fmt.Sprintf("the client did not answer within %s", c.o.Bounds.CallTime))
	}
	if c.stuck(now) {
		c.giveUp(fmt.Sprintf("the server read nothing for %s, longer than any call may take, and was stopped",
			c.o.Bounds.CallTime))
	}
}

// stuck tells a dead child from a busy one: for longer than a call may take it
// has read nothing of what waits for it, and no call is open that it has read
// of. A call that tells of its progress may take for ever.
func (c *Conn) stuck(now time.Time) bool {
	if c.proc.Stuck(now) <= c.o.Bounds.CallTime {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		if call.withdraw == nil && call.Method != methodListen {
			return false
		}
	}
	return true
}
