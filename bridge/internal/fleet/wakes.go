package fleet

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"gatehouse/bridge/internal/mux"
)

// Wakes lets so many sessions of a server wake at once, for a start costs CPU
// that is not shared out well among many. The others wait, each user in turn:
// who wakes many sessions waits for his own. A user whose children are slow to
// start has half of the places at most.
type Wakes struct {
	places int
	each   int // of one user
	most   time.Duration

	mu      sync.Mutex
	held    map[string]int       // places, by user
	taken   int                  // places in all
	order   []string             // users who wait, in turn
	waiting map[string][]*waiter // by user, in the order in which they came
}

type waiter struct {
	user  string
	place chan struct{} // closed when it has one
}

// newWakes makes room for some more than the machine has cores: a start also
// waits for disks and networks.
func newWakes(l Limits) *Wakes {
	places := max(4, 2*runtime.GOMAXPROCS(0))
	w := &Wakes{
		places: places, each: places / 2, most: l.CallTime, held: map[string]int{}, waiting: map[string][]*waiter{},
	}
	if l.SessionsPerUser == 0 {
		w.each = places // everybody is one user
	}
	return w
}

// ErrGone ends the wait of a session that has ended.
var ErrGone = errors.New("the session has ended meanwhile")

// Enter waits for a place, which leave gives back.
func (w *Wakes) Enter(ctx context.Context, over <-chan struct{}, user string) (leave func(), err error) {
	me := &waiter{user: user, place: make(chan struct{})}
	w.mu.Lock()
	if len(w.waiting[user]) == 0 {
		w.order = append(w.order, user)
	}
	w.waiting[user] = append(w.waiting[user], me)
	w.admit()
	w.mu.Unlock()
	late := time.NewTimer(w.most)
	defer late.Stop()
	select {
	case <-me.place:
		return func() { w.leave(user) }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-over:
		err = ErrGone
	case <-late.C:
		err = &mux.Refusal{Reason: "too many sessions wake at once", Retry: 10 * time.Second}
	}
	w.giveUp(me)
	return nil, err
}

// admit gives the places that are free to those who wait, a user after the
// other. The lock is held.
func (w *Wakes) admit() {
	for passed := 0; w.taken < w.places && passed < len(w.order); {
		user := w.order[0]
		w.order = w.order[1:]
		if w.held[user] >= w.each {
			w.order = append(w.order, user)
			passed++
			continue
		}
		passed = 0
		mine := w.waiting[user]
		w.taken++
		w.held[user]++
		close(mine[0].place)
		if w.waiting[user] = mine[1:]; len(mine) > 1 {
			w.order = append(w.order, user)
		} else {
			delete(w.waiting, user)
		}
	}
}

func (w *Wakes) leave(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken--
	if w.held[user]--; w.held[user] == 0 {
		delete(w.held, user)
	}
	w.admit()
}

// giveUp takes back a wait, or the place that it got meanwhile.
func (w *Wakes) giveUp(me *waiter) {
	w.mu.Lock()
	at := slices.Index(w.waiting[me.user], me)
	if at < 0 {
		w.mu.Unlock()
		w.leave(me.user)
		return
	}
	defer w.mu.Unlock()
	if w.waiting[me.user] = slices.Delete(w.waiting[me.user], at, at+1); len(w.waiting[me.user]) == 0 {
		delete(w.waiting, me.user)
		w.order = slices.DeleteFunc(w.order, func(u string) bool { return u == me.user })
	}
}
