package fleet

import (
	"time"

	"gatehouse/bridge/internal/mux"
)

// Limits are the bounds of the children of one server.
type Limits struct {
	mux.Bounds
	Sessions        int           // in all; so many children may be warm
	SessionsPerUser int           // of one subject; 0 where callers are not told apart
	Idle            time.Duration // of a child that nobody uses
}

// DefaultLimits are those of the flags.
func DefaultLimits() Limits {
	return Limits{Bounds: mux.DefaultBounds(), Sessions: 4096, SessionsPerUser: 64, Idle: 30 * time.Minute}
}
