package stateless

import (
	"context"
	"time"
)

// sweepEvery is how late the end of a login may be noticed. One timer for all
// that is open costs nothing; one for each call is what a small call notices.
const sweepEvery = time.Second

// track notes what is open. cancel ends it.
func (f *Front) track(x *exchange, cancel context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[x] = cancel
	x.pulse = f.pulse
	f.arm()
}

func (f *Front) untrack(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, x)
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
