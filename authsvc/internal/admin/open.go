package admin

import (
	"sync"
	"time"
)

const (
	openFor = 10 * time.Second // a bridge asks every 2 s
	maxOpen = 100_000
)

// Open remembers which sids the bridges asked about a moment ago: those have
// something open there. It is safe for concurrent use.
type Open struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// See notes what a bridge asked about.
func (o *Open) See(sids []string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil || len(o.seen)+len(sids) > maxOpen {
		o.seen = map[string]time.Time{} // within 2 s it is whole again
	}
	for _, sid := range sids {
		o.seen[sid] = now
	}
}

// List returns the sids that have something open.
func (o *Open) List(now time.Time) map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := map[string]bool{}
	for sid, at := range o.seen {
		if now.Sub(at) > openFor {
			delete(o.seen, sid)
			continue
		}
		list[sid] = true
	}
	return list
}
