package session

import (
	"cmp"
	"time"

	"gatehouse/bridge/internal/fleet"
)

// Limits are the bounds of all that callers can make grow. Each has a flag.
type Limits struct {
	fleet.Limits
	Body   int           // bytes of a request
	Age    time.Duration // of a session
	Replay int           // bytes kept for Last-Event-ID, for each session
	Refuse bool          // a user's session past SessionsPerUser; else it takes the place of the idlest
}

// callsOfUser is how many calls a user may have in flight, in all sessions.
func (l Limits) callsOfUser() int { return l.Calls * cmp.Or(l.SessionsPerUser, l.Sessions) }

// DefaultLimits are those of the flags.
func DefaultLimits() Limits {
	return Limits{Limits: fleet.DefaultLimits(), Body: 8 << 20, Age: 24 * time.Hour, Replay: 1 << 20}
}
