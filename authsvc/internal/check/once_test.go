package check

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Nobody waits longer for a verdict than is promised, be it that a part hears of
// no deadline, and nobody is taken for refused by that.
func TestWhoWaitsForAVerdictIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, release := &Handler{}, make(chan struct{})
		deaf := func(context.Context) (*verdict, error) { <-release; return &verdict{}, nil }
		begin := time.Now()
		late := make(chan time.Duration)
		go func() {
			<-time.After(time.Second) // by the clock of the bubble: it joins the one that is under way
			joined := time.Now()
			_, _ = h.once(t.Context(), key{1}, deaf)
			late <- time.Since(joined)
		}()
		_, err := h.once(t.Context(), key{1}, deaf)
		if waited := time.Since(begin); waited != slowLimit {
			t.Errorf("waited %s, want %s", waited, slowLimit)
		}
		if why := reasonOf(err, denyToken); why != denyUnavailable {
			t.Errorf("%v is denied as %s", err, denialNames[why])
		}
		if waited := <-late; waited != slowLimit {
			t.Errorf("who joined waited %s, want %s", waited, slowLimit)
		}
		close(release)
	})
}
