package mux

import (
	"bytes"
	"strconv"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// Quiet is for how long nothing was said to the child or by it. It is zero while
// something is open: a call, a question, a line that waits until the child
// reads, a task whose result a client may come for. A ping says nothing.
func (c *Conn) Quiet(now time.Time) time.Duration {
	if c.proc.Stuck(now) > 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls)+len(c.asked) > 0 || now.Before(c.due) {
		return 0
	}
	return max(0, now.Sub(c.said))
}

// heard notes that something was said. The lock is held.
func (c *Conn) heard(method string) {
	if c.o.Sleeps && method != "ping" {
		c.said = time.Now()
	}
}

func (c *Conn) hears(method string) {
	if !c.o.Sleeps {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard(method)
}

// forGood is longer than any session is.
const forGood = 10 * 365 * 24 * time.Hour

// noteDue notes until when a task that an answer tells of is kept by the child:
// it says so itself, and a null is for good (2025-11-25, utilities/tasks, "TTL
// and Resource Management"). The lock is held.
func (c *Conn) noteDue(result []byte) {
	if !c.o.Sleeps || !bytes.Contains(result, []byte("taskId")) {
		return
	}
	task := rpc.Member(result, "task")
	if rpc.Member(task, "taskId") == nil {
		task = result
	}
	if rpc.Member(task, "taskId") == nil {
		return
	}
	life := forGood
	ms, err := strconv.ParseFloat(string(rpc.Member(task, "ttl")), 64)
	if err == nil && ms < float64(forGood.Milliseconds()) {
		life = time.Duration(max(0, ms)) * time.Millisecond
	}
	if until := time.Now().Add(life); until.After(c.due) {
		c.due = until
	}
}
