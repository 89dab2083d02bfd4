package fleet

import (
	"slices"
	"time"

	"gatehouse/internal/contract"
)

// Why an identity may have more than one child of a pool:
//
//   - a call waits for its client's input, and keeps its child (Lease.Keep);
//   - what a child was told of its user has changed, and those who have it stay;
//   - a child ended under its calls. Nobody can say which of them it was, so for
//     a while each has a child of its own, and the next end hits its cause alone.
//     Only calls without a session: a session stays where its state is.

const (
	apartFor  = time.Minute // after a child ended under its calls
	beyondUse = time.Minute // until a child ends that stands beside another, unused
)

// pick is the child for the next call, or nil where one has to be started. The
// lock is held.
func (p *Pool) pick(key whose, who *contract.Identity) *warm {
	w := p.warm[key]
	if w != nil && p.over(w) {
		w = nil
	}
	if w != nil && !w.knows(who) {
		w = p.turn(w, who)
	}
	if w == nil || w.leases == 0 || !p.isApart(key) {
		return w
	}
	for other := range p.alone {
		if other.key == key && other.leases == 0 && other.knows(who) && !p.over(other) {
			return other
		}
	}
	if fits, _ := p.fits(key.user); fits {
		return nil
	}
	return w
}

// turn puts the child aside, and in its place one that was told this, or none.
// The lock is held.
func (p *Pool) turn(w *warm, who *contract.Identity) *warm {
	delete(p.warm, w.key)
	p.alone[w] = struct{}{}
	for other := range p.alone {
		if other.key == w.key && other.knows(who) && !p.over(other) {
			delete(p.alone, other)
			p.warm[w.key] = other
			return other
		}
	}
	return nil
}

// knows tells whether the child was told of its user what it would be told now.
func (w *warm) knows(who *contract.Identity) bool {
	if w.who == nil || w.who == who {
		return true
	}
	return w.who.Email == who.Email && w.who.Name == who.Name && slices.Equal(w.who.Roles, who.Roles)
}

// put lets a child that is being started be found. The lock is held.
func (p *Pool) put(w *warm) {
	if other := p.warm[w.key]; other != nil && !other.over() {
		p.alone[w] = struct{}{}
		return
	}
	p.warm[w.key] = w
}

// over is that of the child, and notes what ended it. The lock is held.
func (p *Pool) over(w *warm) bool {
	if !w.over() {
		return false
	}
	if w.key.modern && w.conn != nil && w.conn.Crashed() && p.server.Isolation != Shared && !w.noted {
		w.noted = true
		p.apart[w.key] = time.Now().Add(apartFor)
	}
	return true
}

// isApart tells whether each call of the key has a child of its own now. The
// lock is held.
func (p *Pool) isApart(key whose) bool {
	if len(p.apart) == 0 {
		return false
	}
	until, ok := p.apart[key]
	if ok && time.Now().After(until) {
		delete(p.apart, key)
		return false
	}
	return ok
}

// outlived tells whether the child stands beside another and was of no use for a
// while. The lock is held.
func (p *Pool) outlived(w *warm, now time.Time) bool {
	_, alone := p.alone[w]
	return alone && now.Sub(w.used) > beyondUse
}
