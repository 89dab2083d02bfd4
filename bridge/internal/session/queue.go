package session

import (
	"errors"
	"io"
	"sync"

	"gatehouse/bridge/internal/rpc"
)

// Errors by which a queue ends.
var (
	ErrSlow  = errors.New("the reader is too slow: more bytes wait for it than its bound allows")
	ErrEnded = errors.New("the session has ended")
)

// Event is one message for a client.
type Event struct {
	Kind   rpc.Kind
	Method string // of a request or notification
	Failed bool   // a response with an error
	Final  bool   // the response to the call whose sink it came to
	Silent bool   // the call was cancelled by its client, who wants no answer
	line   []byte
	edit   rpc.Edit // an id or token given back byte for byte
	result rpc.Span // in line, of a response as the child sent it
}

// Message makes an event of a line that the bridge wrote itself.
func Message(kind rpc.Kind, line []byte) Event { return Event{Kind: kind, line: line} }

// Answer is a Message that is the final response to a call.
func Answer(line []byte) Event {
	return Event{Kind: rpc.Response, Failed: true, Final: true, line: line}
}

// Result is the raw result or error of a response, nil where there is none.
func (e Event) Result() []byte {
	if !e.result.None() {
		return e.line[e.result.Start:e.result.End]
	}
	m, err := rpc.Parse(e.line)
	if err != nil {
		return nil
	}
	return m.Result()
}

// Size is the length of the message in bytes, edits left aside.
func (e Event) Size() int { return len(e.line) + len(e.edit.With) }

// Bytes is the message. It must not be changed.
func (e Event) Bytes() []byte {
	if e.edit.At.None() {
		return e.line
	}
	return rpc.AppendEdited(make([]byte, 0, e.Size()), e.line, e.edit)
}

// Len is the exact length of the message.
func (e Event) Len() int {
	if e.edit.At.None() {
		return len(e.line)
	}
	return len(e.line) - (e.edit.At.End - e.edit.At.Start) + len(e.edit.With)
}

// WriteTo writes the message without joining its parts.
func (e Event) WriteTo(w io.Writer) (int64, error) {
	if e.edit.At.None() {
		n, err := w.Write(e.line)
		return int64(n), err
	}
	var total int64
	for _, part := range [...][]byte{e.line[:e.edit.At.Start], e.edit.With, e.line[e.edit.At.End:]} {
		n, err := w.Write(part)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Sink takes events. Push never blocks; false says that nobody reads any more.
type Sink interface {
	Push(Event) bool
}

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
}

// revive lets a queue that ended with ErrSlow go on for a reader who comes
// back. What waited is lost.
func (q *Queue) revive() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == ErrSlow { //nolint:errorlint // the queue keeps this very value
		q.err, q.slow = nil, nil
	}
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
