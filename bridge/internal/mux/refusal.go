package mux

import (
	"errors"
	"time"

	"gatehouse/bridge/internal/rpc"
)

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
	var r *Refusal
	if errors.As(err, &r) {
		return r.RPC()
	}
	return &rpc.Error{Code: rpc.CodeInternal, Message: err.Error()}
}
