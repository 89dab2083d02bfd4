package session

import (
	"fmt"
	"sync"
	"time"
)

// breaker remembers a server that cannot start, so that callers learn at once
// and why, and the machine is not spent on trying.
type breaker struct {
	mu    sync.Mutex
	fails int
	until time.Time
	why   string
}

const (
	breakerFirst = 500 * time.Millisecond
	breakerLast  = time.Minute
	freeFails    = 2 // so many in a row open nothing
)

func (b *breaker) good() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.why = 0, ""
}

func (b *breaker) bad(now time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails++
	b.why = why
	if b.fails > freeFails {
		b.until = now.Add(backoff(b.fails - freeFails))
	}
}

// backoff doubles from the first wait to the last.
func backoff(n int) time.Duration {
	d := breakerFirst
	for ; n > 1 && d < breakerLast; n-- {
		d *= 2
	}
	return min(d, breakerLast)
}

// refusal is nil where a start may be tried.
func (b *breaker) refusal(now time.Time) *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails <= freeFails || !now.Before(b.until) {
		return nil
	}
	return &Refusal{Reason: fmt.Sprintf("the server cannot start (%d tries): %s", b.fails, b.why), Retry: b.until.Sub(now)}
}

// down is the word for the try that has just failed.
func (b *breaker) down(now time.Time) *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &Refusal{Reason: "the server cannot start: " + b.why, Retry: max(b.until.Sub(now), time.Second)}
}
