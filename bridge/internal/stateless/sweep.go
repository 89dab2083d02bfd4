package stateless

import (
	"context"
	"fmt"
	"time"

	"gatehouse/bridge/internal/mux"
)

// sweepEvery is how late the end of a login may be noticed. One timer for all
// that is open costs nothing; one for each call is what a small call notices.
const sweepEvery = time.Second

// track notes what is open, or refuses it at the bound. cancel ends it.
func (f *Front) track(x *exchange, cancel context.CancelFunc) error {
	user := x.caller.Identity.Subject
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[user] >= f.opts.Open {
		return &mux.Refusal{Full: true, Retry: time.Second, Reason: fmt.Sprintf(
			"%d calls are in flight for this identity, the most that it may have", f.held[user])}
	}
	f.held[user]++
	f.open[x] = cancel
	x.pulse = f.pulse
	f.arm()
	return nil
}

func (f *Front) untrack(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, x)
	user := x.caller.Identity.Subject
	if f.held[user]--; f.held[user] == 0 {
		delete(f.held, user)
	}
}

// arm lets a sweep come while something is open. The lock is held.
func (f *Front) arm() {
	if f.swept || len(f.open) == 0 {
		return
	}
	f.swept = true
	time.AfterFunc(min(sweepEvery, f.opts.KeepAlive/2), f.sweep)
}

// sweep ends what the login of its caller has not outlived, and gives the
// pulse by which quiet streams are kept open.
func (f *Front) sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for x, cancel := range f.open {
		if end := x.caller.Identity.Expires; !end.IsZero() && now.After(end) {
			cancel()
		}
	}
	if now.Sub(f.pulsed) >= f.opts.KeepAlive/2 {
		close(f.pulse)
		f.pulse, f.pulsed = make(chan struct{}), now
	}
	f.swept = false
	f.arm()
}

// due reports whether a comment is to be written at this pulse, and waits for
// the next. The first comes at any time after the beginning and is let pass, so
// that from the second on there is at most KeepAlive between two bytes.
func (x *exchange) due() bool {
	x.front.mu.Lock()
	defer x.front.mu.Unlock()
	x.pulse = x.front.pulse
	x.pulses++
	return x.pulses > 1
}
