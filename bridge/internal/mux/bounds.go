package mux

import (
	"sync/atomic"
	"time"
)

// Bounds are those of what one child and its clients can make grow.
type Bounds struct {
	Calls    int           // in flight for each client
	Line     int           // bytes of one line of a child
	Batch    int           // messages of one batch
	Queue    int           // bytes that may wait for a slow reader
	Waiting  int           // bytes that may wait until a busy child reads
	CallTime time.Duration // of a call; progress starts it anew
	Start    time.Duration // of a child, until its initialize is answered
}

// DefaultBounds are those of the flags.
func DefaultBounds() Bounds {
	return Bounds{
		Calls: 64, Line: 128 << 20, Batch: 64, Queue: 8 << 20, Waiting: 8 << 20,
		CallTime: 5 * time.Minute, Start: 30 * time.Second,
	}
}

// Stats count what happened, for metrics.
type Stats struct {
	Refused atomic.Int64 // calls, by a bound or because no child can be started
	Garbage atomic.Int64 // lines that were no message
	Dropped atomic.Int64 // messages that belonged to nobody, or that nobody listened to
}
