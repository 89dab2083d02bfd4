package fleet

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/bridge/internal/mux"
)

// SomeTurns is a busy machine with so many places.
func SomeTurns(places, each int) *Turns {
	t := NewTurns()
	t.places, t.each, t.longest, t.idle = places, each, time.Hour, func() bool { return false }
	return t
}

// want waits for a place in a goroutine, and sends the name when it has one; it
// is in the line when want returns.
func want(t *testing.T, turns *Turns, user string, in chan<- string) {
	t.Helper()
	go func() {
		if _, _, err := turns.enter(t.Context(), user, time.Hour); err == nil {
			in <- user
		}
	}()
	synctest.Wait()
}

// Waiting counts those of the user who are in the line.
func (t *Turns) Waiting(user string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting[user])
}

func (t *Turns) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.held)+len(t.order)+len(t.waiting)+t.taken == 0
}

// TestWhoStartsManyWaitsForHisOwn: each user has his turn after one of another,
// however many the first has in the line.
func TestWhoStartsManyWaitsForHisOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, in := SomeTurns(1, 1), make(chan string, 16)
		leave, _, err := turns.enter(t.Context(), "first", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			want(t, turns, "many", in)
		}
		for _, user := range []string{"one", "two"} {
			want(t, turns, user, in)
		}
		leave()
		var got []string
		for range 7 {
			user := <-in
			got = append(got, user)
			turns.leave(user)
		}
		if want := "[many one two many many many many]"; fmt.Sprint(got) != want {
			t.Errorf("the order is %v, want %s", got, want)
		}
		if !turns.empty() {
			t.Errorf("something is kept: %+v", turns)
		}
	})
}

// TestAUserHasHalfOfThePlaces: slow children of one are not in the way of
// another's, and where callers are not told apart they have all.
func TestAUserHasHalfOfThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, in := SomeTurns(4, 2), make(chan string, 16)
		for range 4 {
			want(t, turns, "slow", in)
		}
		if len(in) != 2 {
			t.Errorf("one user has %d places of 4", len(in))
		}
		if _, _, err := turns.enter(t.Context(), "other", time.Hour); err != nil {
			t.Error(err)
		}
		all, in := SomeTurns(4, 2), make(chan string, 16)
		for range 5 {
			want(t, all, anybody, in)
		}
		if len(in) != 4 {
			t.Errorf("all have %d places of 4", len(in))
		}
	})
}

// TestWhoStartsMany is told: who starts one after a while does not.
func TestWhoStartsMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := SomeTurns(4, 2)
		enter := func(user string, want bool) (leave func()) {
			t.Helper()
			leave, many, err := turns.enter(t.Context(), user, time.Hour)
			if err != nil || many != want {
				t.Errorf("%q starts many: %t, want %t, %v", user, many, want, err)
			}
			return leave
		}
		first := enter("alice", false)
		enter("alice", true)()
		enter("bob", false)()
		enter(nobody, true)()
		first()
		time.Sleep(2 * turnRecent)
		enter("alice", false)()
		time.Sleep(2 * turnRecent)
		enter("carol", false)()
		if len(turns.last) != 1 {
			t.Errorf("%d users are remembered", len(turns.last))
		}
	})
}

// TestAMachineWithACoreToSpareStartsMore: those who start wait for something
// else, so others need not wait for them.
func TestAMachineWithACoreToSpareStartsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, in := SomeTurns(2, 1), make(chan string, 16)
		for range 5 {
			want(t, turns, "alice", in)
		}
		time.Sleep(time.Minute + turnLook/2) // between two looks
		if len(in) != 1 {
			t.Errorf("%d start on a busy machine", len(in))
		}
		turns.mu.Lock()
		turns.idle = func() bool { return true }
		turns.mu.Unlock()
		time.Sleep(2 * turnLook)
		if len(in) != 3 {
			t.Errorf("%d have started after two looks at an idle machine, want 3", len(in))
		}
		time.Sleep(time.Second)
		for range len(in) {
			turns.leave(<-in)
		}
		if !turns.empty() {
			t.Errorf("something is kept: %+v", turns)
		}
	})
}

func TestAWaitForAPlaceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := SomeTurns(1, 1)
		leave, _, _ := turns.enter(t.Context(), "a", time.Hour)
		gone, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, _, err := turns.enter(gone, "b", time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("who went away: %v", err)
		}
		var late *mux.Refusal
		if _, _, err := turns.enter(t.Context(), "b", time.Minute); !errors.As(err, &late) || late.Retry == 0 {
			t.Errorf("a wait that is too long: %v", err)
		}
		leave()
		if !turns.empty() {
			t.Errorf("something is kept: %+v", turns)
		}
	})
}
