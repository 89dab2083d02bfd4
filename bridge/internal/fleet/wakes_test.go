package fleet

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func wakes(places, each int) *Wakes {
	w := newWakes(DefaultLimits())
	w.places, w.each = places, each
	return w
}

// enter waits in a goroutine; it sends the name when it has a place.
func enter(t *testing.T, w *Wakes, user, name string, in chan<- string) {
	t.Helper()
	go func() {
		if _, err := w.Enter(t.Context(), nil, user); err == nil {
			in <- name
		}
	}()
	for { // it waits, or has its place
		w.mu.Lock()
		n := len(w.waiting[user]) + w.held[user]
		w.mu.Unlock()
		if n > 0 {
			return
		}
	}
}

func (w *Wakes) count(user string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting[user])
}

// TestWhoWakesManyWaitsForHisOwn: each user has his turn after one of another.
func TestWhoWakesManyWaitsForHisOwn(t *testing.T) {
	w := wakes(1, 1)
	leave, err := w.Enter(t.Context(), nil, "first")
	if err != nil {
		t.Fatal(err)
	}
	in := make(chan string)
	for i := range 3 {
		go func() {
			if _, err := w.Enter(t.Context(), nil, "many"); err == nil {
				in <- "many"
			}
		}()
		for w.count("many") != i+1 {
			time.Sleep(time.Millisecond)
		}
	}
	enter(t, w, "one", "one", in)
	leave()
	var got []string
	for range 4 {
		name := <-in
		got = append(got, name)
		w.leave(name)
	}
	if want := "[many one many many]"; fmt.Sprint(got) != want {
		t.Errorf("the order is %v, want %s", got, want)
	}
	if len(w.held)+len(w.order)+len(w.waiting)+w.taken != 0 {
		t.Errorf("something is kept: %+v", w)
	}
}

// TestAUserHasHalfOfThePlaces: slow children of one are not in the way of
// another's.
func TestAUserHasHalfOfThePlaces(t *testing.T) {
	w := wakes(4, 2)
	in := make(chan string, 8)
	for range 4 {
		go func() {
			if _, err := w.Enter(t.Context(), nil, "slow"); err == nil {
				in <- "slow"
			}
		}()
	}
	for w.count("slow") != 2 {
		time.Sleep(time.Millisecond)
	}
	if _, err := w.Enter(t.Context(), nil, "other"); err != nil {
		t.Error(err)
	}
}

func TestAWaitForAPlaceEnds(t *testing.T) {
	w := wakes(1, 1)
	leave, _ := w.Enter(t.Context(), nil, "a")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Enter(gone, nil, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
	over := make(chan struct{})
	close(over)
	if _, err := w.Enter(t.Context(), over, "b"); !errors.Is(err, ErrGone) {
		t.Errorf("a session that ended: %v", err)
	}
	w.most = time.Millisecond
	if _, err := w.Enter(t.Context(), nil, "b"); err == nil {
		t.Error("a wait has no end")
	}
	leave()
	if len(w.held)+len(w.order)+len(w.waiting)+w.taken != 0 {
		t.Errorf("something is kept: %+v", w)
	}
}

func TestWhatIsRecalledOfInitialize(t *testing.T) {
	var r Recall
	now := time.Now()
	name := new(Server).Asks(nil, []byte("params"))
	if !r.Learn(name, []byte("result"), now) || string(r.Answer(name, now)) != "result" {
		t.Error("it is not remembered")
	}
	one, two := `{"a":1,"_meta":{"trace":"1"},"b":2}`, `{"a":1,"_meta":{"trace":"2"},"b":2}`
	if new(Server).Asks(nil, []byte(one)) != new(Server).Asks(nil, []byte(two)) {
		t.Error("a trace makes it another")
	}
	if r.Answer(new(Server).Asks(nil, []byte("other")), now) != nil || r.Answer(name, now.Add(2*recallFor)) != nil {
		t.Error("it is remembered for others, or for ever")
	}
	if r.Learn(name, []byte("another"), now) || r.Answer(name, now) != nil {
		t.Error("a server that changed is not seen")
	}
	r.Learn(name, []byte("result"), now)
	if r.Answer(name, now) != nil {
		t.Error("a server that never says the same is believed at once")
	}
	later := now.Add(2 * recallNothing)
	for i := range 3 * maxRecall / maxRecalled {
		r.Learn(new(Server).Asks(nil, fmt.Append(nil, i)), make([]byte, maxRecalled), later)
	}
	if r.bytes > maxRecall || len(r.answers) != maxRecall/maxRecalled {
		t.Errorf("%d bytes of %d answers are kept", r.bytes, len(r.answers))
	}
}
