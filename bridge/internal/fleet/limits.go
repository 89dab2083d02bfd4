package fleet

import (
	"time"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/mux"
)

// Limits are the bounds of the children of one server.
type Limits struct {
	mux.Bounds
	Sessions        int           // in all; so many children may be warm
	SessionsPerUser int           // of one subject; 0 where callers are not told apart
	Idle            time.Duration // of a child that nobody uses
	Sleep           time.Duration // of a child that does nothing, until it ends and its sessions stay; 0 for never
}

// Crowded refuses a child for want of room for one more on this machine.
type Crowded struct {
	*mux.Refusal
	starter *child.Starter
}

// Unwrap lets the refusal be found.
func (c *Crowded) Unwrap() error { return c.Refusal }

// Still reports whether as many children run as may.
func (c *Crowded) Still() bool { return c.starter.Full() }

// DefaultLimits are those of the flags.
func DefaultLimits() Limits {
	return Limits{Bounds: mux.DefaultBounds(), Sessions: 4096, SessionsPerUser: 64, Idle: 30 * time.Minute}
}
