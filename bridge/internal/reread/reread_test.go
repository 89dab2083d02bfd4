package reread

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watched is a file whose events a test makes, in a bubble of time.
type watched struct {
	events chan fsnotify.Event
	faults chan error
	hup    chan os.Signal
	begin  time.Time
	told   []time.Duration // when the file was said to have changed
	end    func()
}

func watch(t *testing.T, change func(path string)) *watched {
	t.Helper()
	w := &watched{
		events: make(chan fsnotify.Event), faults: make(chan error), hup: make(chan os.Signal), begin: time.Now(),
	}
	path := filepath.Join(t.TempDir(), "tokens")
	f := Open(path)
	change(path)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.tell(ctx, w.hup, w.events, w.faults, func() { w.told = append(w.told, time.Since(w.begin)) }, func(error) {})
	}()
	w.end = func() { cancel(); <-done }
	return w
}

func (w *watched) wrote() { w.events <- fsnotify.Event{Name: "/x/tokens", Op: fsnotify.Write} }

func (w *watched) after(t *testing.T, wait time.Duration, want ...time.Duration) {
	t.Helper()
	time.Sleep(wait) // in the bubble: no time passes
	synctest.Wait()
	if !slices.Equal(w.told, want) {
		t.Errorf("told after %v, want %v", w.told, want)
	}
}

func nothing(string) {}

// TestAFileIsReadOnceItsWriterIsSilent: a loop of echo >> tokens is one change.
func TestAFileIsReadOnceItsWriterIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nothing)
		defer w.end()
		for range 5 {
			w.wrote()
			w.after(t, 60*time.Millisecond)
		}
		w.events <- fsnotify.Event{Name: "/x/another", Op: fsnotify.Write}
		w.after(t, time.Hour, 340*time.Millisecond)
		w.faults <- fsnotify.ErrEventOverflow
		w.after(t, time.Hour, 340*time.Millisecond, 300*time.Millisecond+time.Hour+quiet)
	})
}

// TestAWriterWithoutEndDoesNotHoldItUp.
func TestAWriterWithoutEndDoesNotHoldItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nothing)
		defer w.end()
		for range 24 {
			w.wrote()
			time.Sleep(50 * time.Millisecond)
		}
		w.after(t, time.Hour, atMost, 1200*time.Millisecond+50*time.Millisecond)
	})
}

// TestSIGHUPReadsAtOnce, and nothing is read again for what was written before.
func TestSIGHUPReadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nothing)
		defer w.end()
		w.wrote()
		w.hup <- syscall.SIGHUP
		w.after(t, time.Hour, 0)
	})
}

func TestWhatChangedBeforeTheWatchIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, func(path string) {
			if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
				t.Error(err)
			}
		})
		defer w.end()
		w.faults <- errors.New("blind")
		w.after(t, time.Hour, quiet)
	})
}
