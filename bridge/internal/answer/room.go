package answer

import (
	"context"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"
)

// Room bounds what the large bodies that are being read, checked and handed on
// hold together. One that finds no room waits in line, its sender with it.
//
// A body takes room as it comes, so a slow sender holds what it has sent and no
// more; and while others wait, one that has room must keep pace or lose it. If
// all that have room wait for more, the first in line goes on: then the bound is
// passed by one body.
type Room struct {
	Most int // bytes

	grace time.Duration // for one that must keep pace, before it is measured
	wait  time.Duration // in line

	mu      sync.Mutex
	held    int
	holders []*share
	line    []*share // that wait, in order
	crowded time.Time
	left    int // bytes that were given back since the last collection
}

const (
	freeRoom = 256 << 10 // bytes that any body may hold outside the room
	pace     = 64 << 10  // bytes a second, of one that has room while others wait
)

// NewRoom has room for so many bytes.
func NewRoom(most int) *Room {
	return &Room{Most: most, grace: 5 * time.Second, wait: 30 * time.Second}
}

// share is what one body holds.
type share struct {
	room  *Room
	conn  *http.ResponseController
	bytes int
	more  int           // that it waits for
	given chan struct{} // closed when it has them
	reads bool          // its deadline is ours to set
	since time.Time     // from when it must keep pace
	mark  int           // bytes that had come by then
}

// take waits until the body may hold n bytes.
func (s *share) take(ctx context.Context, n int) error {
	r := s.room
	r.mu.Lock()
	if s.bytes == 0 {
		r.holders = append(r.holders, s)
	}
	s.more, s.reads = n-s.bytes, true
	if len(r.line) == 0 && r.held+s.more <= r.Most {
		r.grant(s)
		r.mu.Unlock()
		return nil
	}
	s.given, s.reads = make(chan struct{}), false
	if len(r.line) == 0 {
		r.crowd()
	}
	r.line = append(r.line, s)
	r.advance()
	r.mu.Unlock()
	timer := time.NewTimer(r.wait)
	defer timer.Stop()
	select {
	case <-s.given:
		s.room.mu.Lock()
		s.reads = true
		s.room.mu.Unlock()
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return errNoRoom
}

// grant lets a body hold what it asked for. The lock is held.
func (r *Room) grant(s *share) {
	r.held += s.more
	s.bytes, s.more = s.bytes+s.more, 0
}

// crowd tells those that have room that others wait. The lock is held.
func (r *Room) crowd() {
	r.crowded = time.Now()
	for _, s := range r.holders {
		if s.reads {
			_ = s.conn.SetReadDeadline(r.crowded.Add(r.grace)) // its next read sets its own
		}
	}
}

// advance lets on whoever is next while there is room, or while nobody else
// could make any. The lock is held.
func (r *Room) advance() {
	for len(r.line) > 0 {
		next := r.line[0]
		if r.held+next.more > r.Most && len(r.holders) > len(r.line) {
			return
		}
		r.line = slices.Delete(r.line, 0, 1)
		r.grant(next)
		close(next.given)
	}
}

// due is until when the body must have sent more, where others wait.
func (s *share) due(have int) (end time.Time, ok bool) {
	r := s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.line) == 0 {
		return end, false
	}
	if s.since.Before(r.crowded) {
		s.since, s.mark = time.Now(), have
	}
	return s.since.Add(r.grace + time.Duration(have-s.mark)*time.Second/pace), true
}

// read ends the time in which a deadline may be set.
func (s *share) read() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.reads = false
}

// give frees what the body held. It may be called again.
func (s *share) give() {
	r := s.room
	r.mu.Lock()
	r.left += s.bytes
	collect := r.left >= r.Most
	if collect {
		r.left = 0
	}
	r.mu.Unlock()
	if collect {
		tidy()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := func(other *share) bool { return other == s }
	r.holders, r.line = slices.DeleteFunc(r.holders, gone), slices.DeleteFunc(r.line, gone)
	r.held -= s.bytes
	s.bytes, s.more = 0, 0
	r.advance()
}

// tidy collects what large bodies have left, before others take their room. The
// collector's own pace would let a small heap treble first, which is what the
// bound is there to prevent. It leaves a large heap alone: that is long to look
// through, and its pace is the right one.
func tidy() {
	const small = 64 << 20
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Kind() == metrics.KindUint64 && live[0].Value.Uint64() < small {
		runtime.GC()
	}
}
