package session

import "time"

// Limits are the bounds of all that callers can make grow. Each has a flag.
type Limits struct {
	Sessions        int           // in all
	SessionsPerUser int           // of one subject
	Calls           int           // in flight for each client
	Body            int           // bytes of a request
	Line            int           // bytes of one line of a child
	CallTime        time.Duration // of a call; progress starts it anew
	Idle            time.Duration // of a session without a request or an open stream
	Age             time.Duration // of a session
	Start           time.Duration // of a child, until its initialize is answered
	Replay          int           // bytes kept for Last-Event-ID, for each session
	Queue           int           // bytes that may wait for a slow reader
	Batch           int           // messages of one batch
}

// DefaultLimits are those of the flags.
func DefaultLimits() Limits {
	return Limits{
		Sessions: 4096, SessionsPerUser: 64, Calls: 64,
		Body: 8 << 20, Line: 128 << 20,
		CallTime: 5 * time.Minute, Idle: 30 * time.Minute, Age: 24 * time.Hour, Start: 30 * time.Second,
		Replay: 1 << 20, Queue: 8 << 20, Batch: 64,
	}
}
