package fleet

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/mux"
)

// Turns lets so many children of all servers start at once, for a start costs
// CPU that calls need as well, and that is not shared out well among many. The
// others wait, each user in turn: who starts many waits for his own, and has
// half of the places at most. What waits for something else than CPU costs
// nobody anything: while the machine has a core that does nothing, one more
// starts each moment.
type Turns struct {
	places  int
	each    int           // of one user
	longest time.Duration // that a place is held, or a low priority
	idle    func() bool   // the machine has a core to spare

	mu      sync.Mutex
	held    map[string]int       // places, by user
	taken   int                  // places in all
	order   []string             // users who wait, in turn
	waiting map[string][]*waiter // by user, in the order in which they came
	last    map[string]time.Time // when a place was given, by user, where that was of late
	looked  time.Time            // when the machine was asked last
}

type waiter struct {
	user  string
	place chan struct{} // closed when it has one
	many  bool          // set before that: its user starts many
}

// Users who are none.
const (
	anybody = ""     // callers who are not told apart: they may have every place
	nobody  = "\x00" // no Subject: what the bridge starts of its own accord
)

const (
	turnLook    = 100 * time.Millisecond // between two looks at the machine, while somebody waits
	turnLongest = 10 * time.Second       // where a child says no word: its client may never ask it
	turnRecent  = 10 * time.Second       // who had a place within it, and wants one, starts many
)

// NewTurns makes room for some more than the machine has cores: a start also
// waits for disks and networks.
func NewTurns() *Turns {
	places := max(4, 2*runtime.GOMAXPROCS(0))
	return &Turns{
		places: places, each: places / 2, longest: turnLongest,
		idle: func() bool { return child.Spare(runtime.GOMAXPROCS(0)) },
		held: map[string]int{}, waiting: map[string][]*waiter{}, last: map[string]time.Time{},
	}
}

// errLate ends a wait that was too long.
var errLate = errors.New("too late")

// enter waits for a place, which leave gives back; for most, where no ctx ends
// it before. many tells that the user starts many children.
func (t *Turns) enter(ctx context.Context, user string, most time.Duration) (leave func(), many bool, err error) {
	me := &waiter{user: user, place: make(chan struct{})}
	t.mu.Lock()
	if len(t.waiting[user]) == 0 {
		t.order = append(t.order, user)
	}
	t.waiting[user] = append(t.waiting[user], me)
	t.admit()
	t.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, most, errLate)
	defer cancel()
	look := time.NewTicker(turnLook)
	defer look.Stop()
	for {
		select {
		case <-me.place:
			return func() { t.leave(user) }, me.many, nil
		case now := <-look.C:
			t.look(now)
			continue
		case <-ctx.Done():
		}
		t.giveUp(me)
		if err = context.Cause(ctx); errors.Is(err, errLate) {
			err = &mux.Refusal{Reason: "too many children start at once", Retry: 10 * time.Second}
		}
		return nil, false, err
	}
}

// admit gives the places that are free to those who wait, a user after the
// other. The lock is held.
func (t *Turns) admit() {
	for passed := 0; t.taken < t.places && passed < len(t.order); {
		if user := t.order[0]; t.held[user] >= t.each && user != anybody {
			t.order = append(t.order[1:], user)
			passed++
			continue
		}
		passed = 0
		t.next()
	}
}

// next gives a place to the user whose turn it is. The lock is held.
func (t *Turns) next() {
	user, now := t.order[0], time.Now()
	t.order = t.order[1:]
	mine := t.waiting[user]
	if t.waiting[user] = mine[1:]; len(mine) > 1 {
		t.order = append(t.order, user)
	} else {
		delete(t.waiting, user)
	}
	before, ok := t.last[user]
	mine[0].many = user == nobody || t.held[user] > 0 || ok && now.Sub(before) < turnRecent
	t.last[user] = now
	t.taken++
	t.held[user]++
	close(mine[0].place)
}

// look gives one place beyond those that there are, where the machine has a core
// that does nothing: those who start wait for something else.
func (t *Turns) look(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) > 0 && now.Sub(t.looked) >= turnLook/2 {
		t.looked = now
		if t.idle() {
			t.next()
		}
	}
}

func (t *Turns) leave(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	if t.held[user]--; t.held[user] == 0 {
		delete(t.held, user)
	}
	now := time.Now()
	for user, at := range t.last { // those of ten seconds: few
		if t.held[user] == 0 && now.Sub(at) > turnRecent {
			delete(t.last, user)
		}
	}
	t.admit()
}

// giveUp takes back a wait, or the place that it got meanwhile.
func (t *Turns) giveUp(me *waiter) {
	t.mu.Lock()
	at := slices.Index(t.waiting[me.user], me)
	if at < 0 {
		t.mu.Unlock()
		t.leave(me.user)
		return
	}
	defer t.mu.Unlock()
	if t.waiting[me.user] = slices.Delete(t.waiting[me.user], at, at+1); len(t.waiting[me.user]) == 0 {
		delete(t.waiting, me.user)
		t.order = slices.DeleteFunc(t.order, func(u string) bool { return u == me.user })
	}
}
