package event

import (
	"errors"
	"sync"
)

// Errors by which a queue ends.
var (
	ErrSlow  = errors.New("the reader is too slow: more bytes wait for it than its bound allows")
	ErrEnded = errors.New("the session has ended")
)

// Queue is a Sink with one reader: it waits on Wake, then takes with Pop until
// there is nothing.
type Queue struct {
	wake chan struct{}
	max  int

	mu     sync.Mutex
	events []Event
	first  [1]Event // room for the one event of most calls
	bytes  int
	err    error
	lost   bool   // an answer is among what a slow reader did not get
	slow   func() // called when the reader was too slow; may be nil
	alone  alone
}

// NewQueue holds at most max bytes, or one message.
func NewQueue(max int) *Queue {
	q := &Queue{wake: make(chan struct{}, 1), max: max}
	q.events = q.first[:0]
	return q
}

// Push implements Sink. Past the bound the queue ends with ErrSlow.
func (q *Queue) Push(e Event) bool {
	q.mu.Lock()
	if q.err == nil && q.bytes > 0 && q.bytes+e.Size() > q.max {
		q.events = append(q.events, e)
		q.fail(ErrSlow)
		slow := q.slow
		q.mu.Unlock()
		if slow != nil {
			slow()
		}
		return false
	}
	defer q.mu.Unlock()
	if q.err != nil {
		q.lost = q.lost || e.Final
		return false
	}
	q.bytes += e.Size()
	q.events = append(q.events, e)
	q.signal()
	return true
}

// OnSlow sets what is called when the queue ends with ErrSlow: its reader may
// be stuck in a write and look at no queue. It must not block.
func (q *Queue) OnSlow(slow func()) {
	q.mu.Lock()
	q.slow = slow
	over := q.err == ErrSlow //nolint:errorlint // the queue keeps this very value
	q.mu.Unlock()
	if over {
		slow()
	}
}

// Close ends the queue: its reader still gets what waits, then err.
func (q *Queue) Close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
		q.signal()
	}
	q.alone.stop()
}

// revive lets a queue that ended with ErrSlow go on for a reader who comes
// back. What waited is lost.
func (q *Queue) revive() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == ErrSlow { //nolint:errorlint // the queue keeps this very value
		q.err, q.slow = nil, nil
	}
	q.heard()
}

func (q *Queue) lostAnswer() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

func (q *Queue) fail(err error) {
	for _, e := range q.events {
		q.lost = q.lost || e.Final
	}
	q.err, q.events, q.bytes = err, nil, 0
	q.signal()
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Waiting is the number of bytes that wait for the reader.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// Wake has a token when there may be something to Pop.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

// Pop takes the next event. Without one it returns false, and the error by
// which the queue has ended, or nil while more may come.
func (q *Queue) Pop() (Event, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.heard()
	if len(q.events) == 0 {
		q.events = q.first[:0]
		return Event{}, false, q.err
	}
	e := q.events[0]
	q.events[0] = Event{} // let the bytes go
	q.events = q.events[1:]
	q.bytes -= e.Size()
	return e, true, nil
}
