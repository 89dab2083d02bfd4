package mux

import "time"

// How long a shared child may still ask something for a call that is over: one
// that was given up may go on for a while, one that it answered is done but for
// what stands in its pipe.
const (
	lateDropped  = 30 * time.Second
	lateAnswered = time.Second
	staleFor     = 10 * time.Minute // most children never answer what was cancelled
)

// mayAskUntil keeps the later of two times. A call of the bridge's own has no
// caller, and nothing is asked because of it. The lock is held.
func (c *Conn) mayAskUntil(l *Link, t time.Time) {
	if who := l.owner(); c.o.Shared && l.caller != nil && t.After(c.mayAsk[who]) {
		c.mayAsk[who] = t
	}
}

// owner is who stands behind a link. Without a session each call has a link of
// its own, and its identity is the owner.
type owner struct{ session, user string }

func (l *Link) owner() owner {
	switch {
	case l.caller == nil:
		return owner{}
	case l.caller.Session != "":
		return owner{session: l.caller.Session}
	}
	return owner{user: l.caller.Identity.Subject}
}

// mayBeAnothers tells whether a message of a shared child may be for a call of
// another client that is over. The lock is held.
func (c *Conn) mayBeAnothers(l *Link) bool {
	now, who := time.Now(), l.owner()
	for other, until := range c.mayAsk {
		if other != who && now.Before(until) {
			return true
		}
	}
	return false
}
