package event

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Streams are the event streams of one session that a client may come back to
// with Last-Event-ID, and the bounded buffer of what they said.
type Streams struct {
	mu    sync.Mutex
	byID  map[string]*Stream
	told  []told // for those who come back, oldest first
	bytes int
	max   int
	next  int
}

// told is an event that the reader of a stream was told, or should have been.
type told struct {
	stream *Stream
	seq    int
	event  Event
}

// Stream is one of them. Its queue holds what was not said yet.
type Stream struct {
	Queue *Queue
	id    string
	all   *Streams
	gone  func() // called when nobody came back; may be nil
	// under all.mu
	seq     int
	held    int           // of its events that are kept
	finals  int           // answers still to come
	bounded bool          // it ends with the last answer; a standing stream does not
	taken   chan struct{} // closed when another reader takes over; nil without one
	expires *time.Timer
}

const (
	resumeGrace = 30 * time.Second // a stream that nobody reads is given up after so long
	// settledFor is for how long a stream is kept whose reader stayed to the last
	// answer. What a connection took may still be lost on its way, and a client
	// that misses the answer comes back soon.
	settledFor = 5 * time.Minute
)

// NewStreams keeps at most max bytes for those who come back.
func NewStreams(max int) *Streams { return &Streams{byID: map[string]*Stream{}, max: max} }

// Open makes a stream. onGone is called once when nobody comes back to it; it
// may be nil.
func (s *Streams) Open(q *Queue, onGone func()) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &Stream{Queue: q, id: strconv.Itoa(s.next), all: s, gone: onGone}
	s.next++
	s.byID[st.id] = st
	return st
}

// Find reads an event id and returns its stream and place.
func (s *Streams) Find(eventID string) (*Stream, int) {
	id, text, ok := strings.Cut(eventID, "-")
	seq, err := strconv.Atoi(text)
	if !ok || err != nil || seq < 0 {
		return nil, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id], seq
}

// Take makes the caller the one reader in place of the last; the channel closes
// when another takes over.
func (st *Stream) Take() <-chan struct{} {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if st.taken != nil {
		close(st.taken)
	}
	if st.expires != nil {
		st.expires.Stop()
	}
	st.Queue.revive()
	st.taken = make(chan struct{})
	return st.taken
}

// Leave ends the reading by whom Take gave this channel. A stream of calls with
// answers to come is given up when nobody takes it again.
func (st *Stream) Leave(taken <-chan struct{}) {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if st.taken == nil || taken != (<-chan struct{})(st.taken) {
		return
	}
	st.taken = nil
	switch {
	case st.bounded && st.finals > 0:
		st.expires = time.AfterFunc(resumeGrace, st.giveUp)
	default:
		st.forget()
	}
	if !st.bounded {
		st.Queue.leave()
	}
}

// Settle lets go of a stream in a while, for its reader stayed to the last
// answer: without it a session would fill its buffer with what everybody has
// heard. A reader who comes meanwhile calls it again. With answers to come, or
// with a reader, it does nothing.
func (st *Stream) Settle() {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if st.bounded && st.finals <= 0 && st.taken == nil && st.all.byID[st.id] == st {
		st.expires = time.AfterFunc(settledFor, st.drop)
	}
}

// drop forgets what the stream said, where nobody reads it.
func (st *Stream) drop() {
	s := st.all
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.taken != nil || s.byID[st.id] != st {
		return
	}
	s.told = slices.DeleteFunc(s.told, func(k told) bool {
		if k.stream == st {
			s.bytes -= k.event.Size()
		}
		return k.stream == st
	})
	st.held = 0
	delete(s.byID, st.id)
}

// forget lets go of a stream whose answers were told and of which nothing is
// kept any more. The lock is held.
func (st *Stream) forget() {
	if st.bounded && st.finals <= 0 && st.held == 0 && st.taken == nil {
		delete(st.all.byID, st.id)
	}
}

func (st *Stream) giveUp() {
	st.all.mu.Lock()
	over := st.taken == nil
	if over {
		delete(st.all.byID, st.id)
	}
	st.all.mu.Unlock()
	if over && st.gone != nil {
		st.gone()
	}
}

// Told is an event that the reader of a stream is to tell.
type Told struct {
	Event
	ID   string
	Last bool // all answers are told with it
}

// ErrTaken ends the reading where another reader has come.
var ErrTaken = errors.New("another reads the stream now")

// Next takes the next event for the reader to whom Take gave the channel. What
// was taken is kept before another can take over, who is told it from there.
// Without an event it returns false, as Queue.Pop does.
func (st *Stream) Next(taken <-chan struct{}) (Told, bool, error) {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	select {
	case <-taken:
		return Told{}, false, ErrTaken
	default:
	}
	e, ok, err := st.Queue.Pop()
	if !ok {
		return Told{}, false, err
	}
	return st.tell(e), true, nil
}

// Told is Next for an event that was taken from the queue before.
func (st *Stream) Told(e Event) Told {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	return st.tell(e)
}

func (st *Stream) tell(e Event) Told {
	t := Told{Event: e}
	if e.Final {
		st.finals--
		t.Last = st.bounded && st.finals == 0
	}
	if !e.Silent {
		t.ID = st.record(e)
	}
	return t
}

// record keeps the event for one who comes back, and names it. The lock is
// held.
func (st *Stream) record(e Event) string {
	s := st.all
	st.seq++
	id := st.id + "-" + strconv.Itoa(st.seq)
	if e.Size() > s.max {
		return id
	}
	s.told = append(s.told, told{st, st.seq, e})
	s.bytes += e.Size()
	st.held++
	for s.bytes > s.max {
		oldest := s.told[0]
		s.bytes -= oldest.event.Size()
		s.told[0] = told{}
		s.told = s.told[1:]
		oldest.stream.held--
		oldest.stream.forget()
	}
	return id
}

// Place is the event id from which on all is still to be told.
func (st *Stream) Place() string {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	return st.id + "-" + strconv.Itoa(st.seq)
}

// Missed lists what was said after the place, with the ids.
func (st *Stream) Missed(seq int) (ids []string, events []Event) {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	for _, k := range st.all.told {
		if k.stream == st && k.seq > seq {
			ids = append(ids, st.id+"-"+strconv.Itoa(k.seq))
			events = append(events, k.event)
		}
	}
	return ids, events
}

// Lost tells whether the last answer came after the place and is kept no more,
// or never came for the reader was too slow: one who waits for it there would
// wait for ever.
func (st *Stream) Lost(seq int) bool {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if st.bounded && st.Queue.lostAnswer() {
		return true
	}
	if !st.bounded || st.finals > 0 || seq >= st.seq {
		return false
	}
	for _, k := range st.all.told {
		if k.stream == st && k.seq == st.seq {
			return false
		}
	}
	return true
}

// Close stops the timers of streams that nobody reads.
func (s *Streams) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.byID {
		if st.expires != nil {
			st.expires.Stop()
		}
	}
	s.byID, s.told = map[string]*Stream{}, nil
}

// Want sets how many final answers the stream is to tell.
func (st *Stream) Want(finals int) {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	st.finals, st.bounded = finals, true
}

// Over tells whether all answers were told.
func (st *Stream) Over() bool {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	return st.bounded && st.finals <= 0
}
