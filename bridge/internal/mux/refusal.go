package mux

import (
	"errors"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// ErrDuplicate refuses a call whose id another call of the same client has in
// flight. It is told on the request itself: on a stream that both calls share
// it would be taken for the answer to the first.
var ErrDuplicate error = &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "a call with this id is in flight"}

// Refusal is a clear no: a bound is reached, or a server cannot be had now.
// Full means that the caller has too much (429), else it is the bridge or the
// server that cannot (503).
type Refusal struct {
	Full   bool
	Reason string
	Retry  time.Duration
}

func (r *Refusal) Error() string { return r.Reason }

// RPC is the refusal as the error of a JSON-RPC response.
func (r *Refusal) RPC() *rpc.Error { return &rpc.Error{Code: rpc.CodeBusy, Message: r.Reason} }

// AsRPC turns an error of this package into the error of a response.
func AsRPC(err error) *rpc.Error {
	var e *rpc.Error
	if errors.As(err, &e) {
		return e
	}
	var missing *MissingError
	if errors.As(err, &missing) {
		return missing.RPC()
	}
	var r *Refusal
	if errors.As(err, &r) {
		return r.RPC()
	}
	return &rpc.Error{Code: rpc.CodeInternal, Message: err.Error()}
}
