package fleet

import "time"

// A call of an identity that ends its child takes the others on that child with
// it, and nobody can say which it was. For a while each has a child of its own,
// so that the next end hits its cause alone. Only calls without a session: a
// session stays where its state is.

const apartFor = time.Minute

// pick is the child for the next call, or nil where one has to be started. The
// lock is held.
func (p *Pool) pick(key whose) *warm {
	w := p.warm[key]
	if w != nil && p.over(w) {
		w = nil
	}
	if w == nil || w.leases == 0 || !p.isApart(key) {
		return w
	}
	for other := range p.alone {
		if other.key == key && other.leases == 0 && !p.over(other) {
			return other
		}
	}
	if fits, _ := p.fits(key.user); fits {
		return nil
	}
	return w
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

// outlived tells whether a child stands beside another only because of what was
// a while ago. The lock is held.
func (p *Pool) outlived(w *warm) bool {
	_, alone := p.alone[w]
	return alone && !p.isApart(w.key)
}
