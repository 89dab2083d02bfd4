package fleet

import (
	"fmt"
	"sync"
	"time"

	"gatehouse/bridge/internal/mux"
)

// Breaker remembers a server that cannot start, so that callers learn at once
// and why, and the machine is not spent on trying.
type Breaker struct {
	mu    sync.Mutex
	fails int
	until time.Time
	last  time.Time
	why   string
}

const (
	breakerFirst = 500 * time.Millisecond
	BreakerLast  = time.Minute // the longest wait
	FreeFails    = 2           // so many in a row open nothing
)

// Good forgets what failed.
func (b *Breaker) Good() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.why = 0, ""
}

// Bad counts a failure.
func (b *Breaker) Bad(now time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails++
	b.why, b.last = why, now
	if b.fails > FreeFails {
		b.until = now.Add(backoff(b.fails - FreeFails))
	}
}

// Trip is Bad for what needs no second try to be believed.
func (b *Breaker) Trip(now time.Time, why string) {
	b.mu.Lock()
	b.fails = max(b.fails, FreeFails)
	b.mu.Unlock()
	b.Bad(now, why)
}

// Open is nil until too much has failed, and then why, until something is Good.
func (b *Breaker) Open(now time.Time) *mux.Refusal {
	b.mu.Lock()
	open := b.fails > FreeFails
	b.mu.Unlock()
	if !open {
		return nil
	}
	return b.down(now)
}

// due reports whether it is open and the time for another try has come.
func (b *Breaker) due(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fails > FreeFails && !now.Before(b.until)
}

// stale reports whether what failed is so long ago that it counts no more.
func (b *Breaker) stale(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Sub(b.last) > BreakerLast && now.After(b.until)
}

// backoff doubles from the first wait to the last.
func backoff(n int) time.Duration {
	d := breakerFirst
	for ; n > 1 && d < BreakerLast; n-- {
		d *= 2
	}
	return min(d, BreakerLast)
}

// Refusal is nil where a start may be tried.
func (b *Breaker) Refusal(now time.Time) *mux.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails <= FreeFails || !now.Before(b.until) {
		return nil
	}
	why := fmt.Sprintf("the server cannot start (%d tries): %s", b.fails, b.why)
	return &mux.Refusal{Reason: why, Retry: b.until.Sub(now)}
}

// down is the word for the try that has just failed.
func (b *Breaker) down(now time.Time) *mux.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &mux.Refusal{Reason: "the server cannot start: " + b.why, Retry: max(b.until.Sub(now), time.Second)}
}
