package mux

import (
	"encoding/json"
	"fmt"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// ended answers every call in flight in the place of the child that is gone.
func (c *Conn) ended(cause error) {
	early := c.early()               // before a client that learns of the end can stop it too
	if cause == rpc.ErrLineTooLong { //nolint:errorlint // Lines returns this very value
		c.giveUp(fmt.Sprintf("the server wrote a line of more than %d bytes and was stopped", c.o.Bounds.Line))
	}
	c.proc.Stop() // it may live on; else its exit and its last words are on the way
	<-c.proc.Done()
	c.proc.Close()
	dead := c.epitaph()
	c.mu.Lock()
	c.dead = dead
	calls := c.calls
	c.failed = !c.stopped.Load() && answerable(calls)
	c.calls, c.tokens, c.asked = map[string]*Call{}, map[string]*Call{}, map[string]question{}
	links := c.links
	c.links = map[*Link]struct{}{}
	for l := range links {
		l.calls = nil
	}
	c.mu.Unlock()
	for _, call := range calls {
		call.lose(dead)
	}
	if !c.spoke.Load() && !early {
		c.o.Failed(dead.Message)
	}
	c.o.Log.Info().Str("exit", dead.Message).Msg("server ended") // before a bridge that waits for it ends itself
	c.o.Gone(c)
	for l := range links {
		if l.lost != nil {
			l.lost()
		}
	}
	close(c.done)
}

// giveUp ends a child that cannot be used any more, and says why.
func (c *Conn) giveUp(why string) {
	c.fault.CompareAndSwap(nil, &why)
	c.proc.Kill()
}

func (c *Conn) epitaph() *rpc.Error {
	status, stderr := c.proc.Exit()
	reason := "the server ended: " + status
	if why := c.fault.Load(); why != nil {
		reason = *why
	}
	e := &rpc.Error{Code: rpc.CodeInternal, Message: reason}
	if stderr != "" && !c.o.Secret {
		e.Data, _ = json.Marshal(map[string]string{"stderr": stderr})
	}
	return e
}

// Crashed tells whether the child ended by itself under calls that it had not
// answered: one of them may have been the cause.
func (c *Conn) Crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// answerable tells whether one of the calls is no subscription, which any end
// of the child ends.
func answerable(calls map[string]*Call) bool {
	for _, call := range calls {
		if call.Method != methodListen {
			return true
		}
	}
	return false
}

// lose answers for a child that is gone. What it had not read did not run;
// whether anything else did, nobody knows.
func (c *Call) lose(dead *rpc.Error) {
	unread := c.withdraw != nil && c.withdraw()
	told := *dead
	if unread {
		told.Message += "; it had not read the call"
	} else {
		told.Message += "; the call may have run"
	}
	c.deliver(event.Event{
		Kind: rpc.Response, Failed: true, Final: true, Lost: true, Unread: unread, Line: told.Body(c.id),
	}, "died")
}
