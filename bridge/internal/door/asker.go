package door

import (
	"context"
	"encoding/json"
	"errors"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// asker asks servers in the name of a session's client.
type asker struct {
	hub *Hub
	who *contract.Identity
}

// Running implements Asker.
func (a asker) Running(s *Server) bool {
	a.hub.mu.Lock()
	in := a.hub.parts[s.Fleet]
	a.hub.mu.Unlock()
	return in != nil && in.Running()
}

// Caller implements Asker.
func (a asker) Caller(s *Server) *mux.Caller {
	caller := *a.hub.outer.Caller(a.who)
	caller.Server = s.Name
	return &caller
}

// Meta implements Asker: these versions want none.
func (asker) Meta() string { return "" }

// Ask implements Asker.
func (a asker) Ask(ctx context.Context, s *Server, m *rpc.Message) ([]byte, error) {
	in, err := a.hub.part(s)
	if err != nil {
		return nil, err
	}
	w := waiter{done: make(chan event.Event, 1), aside: &relay{in, a.who, a.hub.outer.Standing}}
	call, err := in.Call(ctx, a.who, m, w)
	if err != nil {
		return nil, err
	}
	select {
	case e := <-w.done:
		return Outcome(e)
	case <-ctx.Done():
		if call != nil {
			call.Cancel("no answer came in time")
		}
		return nil, ctx.Err()
	}
}

// waiter waits for the answer alone. The rest goes to the client as what
// belongs to no call, for it knows nothing of this one.
type waiter struct {
	done  chan event.Event
	aside event.Sink
}

// Push implements event.Sink.
func (w waiter) Push(e event.Event) bool {
	switch {
	case e.Final:
		w.done <- e
		return true
	case e.Method == rpc.Progress:
		return true
	}
	return w.aside.Push(e)
}

// Outcome is the result or the error in a final event.
func Outcome(e event.Event) ([]byte, error) {
	switch {
	case e.Silent:
		return nil, errors.New("the client cancelled it")
	case !e.Failed:
		return e.Result(), nil
	}
	var failed rpc.Error
	if err := json.Unmarshal(e.Result(), &failed); err != nil {
		return nil, errors.New("the server answered with an error that cannot be read")
	}
	return nil, &failed
}
