package event

import (
	"slices"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// unheardTail is what a queue keeps, in bytes, while nobody listens. A client
// that never opens its stream would cost its whole bound else.
const unheardTail = 64 << 10

// alone is the state of a queue that nobody reads.
type alone struct {
	known   bool        // it had a reader once
	grace   *time.Timer // runs while its last reader may come back; nil without one
	tail    bool        // nobody came back
	dropped *atomic.Int64
}

func (a *alone) stop() {
	if a.grace != nil {
		a.grace.Stop()
		a.grace = nil
	}
}

// Unheard is where a message goes that nobody listens to now: a queue keeps it
// whole for a reader who lost its connection a moment ago, and then the tail of
// what came alone. What it drops is counted.
func Unheard(to Sink, dropped *atomic.Int64) Sink {
	if q, ok := to.(*Queue); ok {
		return unheard{q, dropped}
	}
	return to
}

type unheard struct {
	queue   *Queue
	dropped *atomic.Int64
}

// Push implements Sink. It never ends the queue: there is no reader who is slow.
func (u unheard) Push(e Event) bool {
	q := u.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return false
	}
	q.alone.dropped = u.dropped
	most := q.max
	if q.left(); q.alone.tail {
		most = min(q.max, unheardTail)
	}
	if q.alone.tail && e.Size() > most {
		return false
	}
	if q.bytes+e.Size() > most {
		q.trim(max(most-e.Size(), 0))
	}
	if q.bytes > 0 && q.bytes+e.Size() > most {
		return false
	}
	q.bytes += e.Size()
	q.events = append(q.events, e)
	q.signal()
	return true
}

// leave is called when the reader goes.
func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.left()
	}
}

// left begins the time in which the last reader may come back, if there was one
// and it does not run. The lock is held.
func (q *Queue) left() {
	switch {
	case q.alone.tail || q.alone.grace != nil:
	case !q.alone.known:
		q.alone.tail = true
	default:
		q.alone.grace = time.AfterFunc(resumeGrace, q.forsake)
	}
}

// forsake keeps but the tail, unless a reader came as the time ran out.
func (q *Queue) forsake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.alone.grace == nil || q.err != nil {
		return
	}
	q.alone.grace, q.alone.tail = nil, true
	q.trim(min(q.max, unheardTail))
	q.events = slices.Clone(q.events) // let the room go
}

// heard tells that somebody reads. The lock is held.
func (q *Queue) heard() {
	q.alone.stop()
	q.alone.known, q.alone.tail = true, false
}

// trim drops the oldest until at most so many bytes wait, and a quarter of them
// is free: each message that comes would walk over all that wait else. Questions
// and answers stay, for somebody waits for them. The lock is held.
func (q *Queue) trim(most int) {
	if q.bytes <= most {
		return
	}
	most -= most / 4
	before := len(q.events)
	q.events = slices.DeleteFunc(q.events, func(e Event) bool {
		if q.bytes <= most || e.Kind == rpc.Request || e.Final {
			return false
		}
		q.bytes -= e.Size()
		return true
	})
	if n := before - len(q.events); n > 0 && q.alone.dropped != nil {
		q.alone.dropped.Add(int64(n))
	}
}
