package fleet

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/mux"
)

// spare is a child that was started ahead. Nobody has spoken with it.
type spare struct {
	proc  mux.Process
	turn  *turn
	born  time.Time
	log   atomic.Pointer[zerolog.Logger]
	taken chan struct{}
}

// spares are those of one server. How many wait follows what is asked for.
type spares struct {
	mu       sync.Mutex
	waiting  []*spare // the oldest first: it is the most ready
	starting int
	demand   demand
	over     bool
}

// missing is how many have to be started so that at least so many wait, or as
// many as demand asks for. Those are counted as starting; surplus is one that is
// too many. While some have hardly begun, few are added: they would only make
// each other slow.
func (s *spares) missing(now time.Time, least int) (missing int, surplus *spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, young := max(least, s.demand.ahead(now)), s.starting
	for _, each := range s.waiting {
		if now.Sub(each.born) < s.demand.start() {
			young++
		}
	}
	if last := len(s.waiting) - 1; last >= want {
		surplus = s.waiting[last]
		s.waiting = s.waiting[:last]
		close(surplus.taken)
	}
	missing = min(want-len(s.waiting)-s.starting, 2*runtime.NumCPU()-young)
	if missing <= 0 || s.over {
		return 0, surplus
	}
	s.starting += missing
	return missing, surplus
}

// failed ends the start of n of which nothing came.
func (s *spares) failed(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting -= n
}

// begun ends a start, and lets the child wait; false where none may.
func (s *spares) begun(spare *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting--
	if s.over {
		return false
	}
	spare.born = time.Now()
	s.waiting = append(s.waiting, spare)
	return true
}

// take is the one that has waited for longest, or nil.
func (s *spares) take(now time.Time) *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demand.asked(now)
	if len(s.waiting) == 0 {
		return nil
	}
	spare := s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	close(spare.taken)
	return spare
}

// remove is false where somebody has taken it.
func (s *spares) remove(spare *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, spare)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	return i >= 0
}

// end gives all to retire; there are no more.
func (s *spares) end(retire func(*spare)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.waiting {
		close(each.taken)
		retire(each)
	}
	s.waiting, s.over = nil, true
}

// took notes how long a child needed from its start to its first word.
func (s *spares) took(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demand.took(d)
}

// usual is how long a start takes of late.
func (s *spares) usual() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.demand.start()
}

// demand is how many children are asked for, and how long one needs until it is
// of use: what is asked for in that time must wait ready.
type demand struct {
	rate float64 // a second, of late
	at   time.Time
	each time.Duration // of a start, of late; 0 where none was seen
}

const (
	demandWindow = 30 * time.Second // what is longer ago counts for little
	demandLeast  = 0.05             // of one child in the window; less is none
	usualStart   = time.Second
)

func (d *demand) asked(now time.Time) {
	d.fade(now)
	d.rate += 1 / demandWindow.Seconds()
}

func (d *demand) took(start time.Duration) {
	if d.each == 0 {
		d.each = start
	}
	d.each += (start - d.each) / 4
}

func (d *demand) start() time.Duration {
	if d.each == 0 {
		return usualStart
	}
	return d.each
}

func (d *demand) fade(now time.Time) {
	if past := now.Sub(d.at); !d.at.IsZero() && past > 0 {
		d.rate *= math.Exp(-past.Seconds() / demandWindow.Seconds())
	}
	d.at = now
}

// ahead is how many must wait: those that are asked for while one starts, and
// twice their spread, since they do not come evenly.
func (d *demand) ahead(now time.Time) int {
	d.fade(now)
	if d.rate*demandWindow.Seconds() < demandLeast {
		return 0
	}
	n := d.rate * d.start().Seconds()
	return int(math.Ceil(n + 2*math.Sqrt(n)))
}
