package mux

import (
	"context"
	"errors"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Caller is who stands at a client's end.
type Caller struct {
	Identity *contract.Identity
	Session  string // the label of the session; "" without one
	Server   string // the configured name; "" where there is but one
	Era      string // "sse", "streamable" or "stateless"
}

// CallInfo is what a Guard learns of a call. Message is valid during Begin
// only.
type CallInfo struct {
	Caller  *Caller
	Method  string
	Name    string // of the tool or prompt, or the uri of the resource
	Message *rpc.Message
	Ahead   bool // Again is asked before the call begins: the limits must have room for it

	Credential string // of its caller's own that the child has; "" for none

	Edit rpc.Edit // Begin may set it: what the child is told beside the message
}

// Answered tells the guard of a call that the bridge answers without the child,
// and lets it refuse that.
func (c *Conn) Answered(ctx context.Context, who *Caller, m *rpc.Message, bytes int) error {
	return Answered(ctx, c.o.Guard, who, m, bytes)
}

// Answered is the same where there is no child.
func Answered(ctx context.Context, g Guard, who *Caller, m *rpc.Message, bytes int) error {
	if g == nil {
		return nil
	}
	w, err := g.Begin(ctx, &CallInfo{Caller: who, Method: m.Method, Message: m})
	if err == nil && w != nil {
		w.Release()
		w.End(Outcome{Status: "ok", Bytes: bytes})
	}
	return err
}

// Recorder is a Guard that writes down what was refused before it could be asked:
// by the entry of a server, or because nothing here has the name that is called.
type Recorder interface {
	// Refused has the status of an Outcome.
	Refused(ctx context.Context, call *CallInfo, status string)
}

// How a call was refused before a Guard was asked.
const (
	StatusDenied       = "denied"        // its caller lacks what the entry of the server asks for
	StatusMissingScope = "missing_scope" // and a scope would cure it
	StatusRefused      = "refused"       // nothing here has the name that it calls
)

// Refused tells the guard, where it writes such things down.
func Refused(ctx context.Context, g Guard, who *Caller, m *rpc.Message, status string) {
	if r, ok := g.(Recorder); ok {
		r.Refused(ctx, &CallInfo{Caller: who, Method: m.Method, Message: m}, status)
	}
}

// StatusOf is the status of a call that the entry of its server refused so.
func StatusOf(err error) string {
	var scope *ScopeError
	if errors.As(err, &scope) {
		return StatusMissingScope
	}
	return StatusDenied
}

// Outcome is how a call ended.
type Outcome struct {
	Status string // "ok", "error" (a JSON-RPC error), "cancelled", "timeout", "died"
	Bytes  int    // of the answer
}

// Guard is asked before any call reaches a child. An error refuses the call:
// an *rpc.Error is the answer. The Watch may be nil. The context is that of
// the HTTP request.
type Guard interface {
	Begin(ctx context.Context, call *CallInfo) (Watch, error)
	// Again is asked when a client goes on with a call that Begin let pass, and
	// about a notification. It counts nothing.
	Again(ctx context.Context, call *CallInfo) error
}

// Again asks the guard whether the caller may go on with a call that waited
// for it, as what it may do can have changed, or may send a notification.
func (c *Conn) Again(ctx context.Context, who *Caller, m *rpc.Message) error {
	if c.o.Guard == nil {
		return nil
	}
	return c.o.Guard.Again(ctx, &CallInfo{Caller: who, Method: m.Method, Message: m})
}

// Watch follows one call. All of it runs on the goroutine that reads the child:
// it must be quick and must not block.
type Watch interface {
	// Result may replace the raw result of a successful answer (a list from
	// which something is left out). It returns raw where nothing changes.
	Result(raw []byte) []byte
	// Release is called before the client has its answer, for its next call may
	// come at once: what this one held must be free by then.
	Release()
	// End is called once and last. The client waits for it no more.
	End(Outcome)
}

// ScopeError refuses a call that a scope would cure. A front with a status of
// its own answers 403 with Challenge as WWW-Authenticate (RFC 6750, 3.1);
// elsewhere the RPC error is the answer.
type ScopeError struct {
	RPC       *rpc.Error
	Challenge string
}

func (e *ScopeError) Error() string { return e.RPC.Error() }

// Unwrap lets AsRPC find the answer.
func (e *ScopeError) Unwrap() error { return e.RPC }
