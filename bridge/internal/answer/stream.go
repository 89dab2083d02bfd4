package answer

import (
	"io"
	"net/http"
	"sync"
	"time"

	"gatehouse/bridge/internal/event"
)

const (
	keepalive = 15 * time.Second
	writeWait = 60 * time.Second // a peer that takes no byte for so long is gone
)

// Stream writes text/event-stream (HTML, section 9.2). Each event is flushed
// by itself: a client may drop what comes in one read with the answer.
type Stream struct {
	out  outlet
	gone <-chan struct{}
	tick *time.Ticker

	mu     sync.Mutex
	cut    bool
	closed bool // the connection may be another answer's now
}

// outlet is what a stream writes to.
type outlet interface {
	io.Writer
	Flush() error
	SetWriteDeadline(time.Time) error
}

// attached is an outlet that ends with the handler's answer.
type attached struct {
	http.ResponseWriter
	*http.ResponseController
}

// NewStream makes the answer to r a stream, which ends with its handler. It
// sends the headers at once: clients wait for them.
func NewStream(w http.ResponseWriter, r *http.Request) *Stream {
	StreamHeader(w)
	w.WriteHeader(http.StatusOK)
	s := &Stream{out: attached{w, http.NewResponseController(w)}, gone: r.Context().Done(), tick: time.NewTicker(keepalive)}
	_ = s.out.Flush()
	return s
}

// StreamHeader sets the headers of an event stream.
func StreamHeader(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// Close ends what the stream holds.
func (s *Stream) Close() {
	s.tick.Stop()
	s.mu.Lock()
	if !s.cut {
		_ = s.out.SetWriteDeadline(time.Time{}) // the next answer on the connection has none
	}
	s.closed = true
	s.mu.Unlock()
	if c, ok := s.out.(io.Closer); ok {
		_ = c.Close()
	}
}

// Gone is closed when the client is.
func (s *Stream) Gone() <-chan struct{} { return s.gone }

// Tick says when a comment is due.
func (s *Stream) Tick() <-chan time.Time { return s.tick.C }

// Comment keeps the connection open.
func (s *Stream) Comment() error { return s.Raw(": keepalive\n\n") }

// Raw writes text that is already framed.
func (s *Stream) Raw(text string) error {
	s.hurry()
	if _, err := io.WriteString(s.out, text); err != nil {
		return err
	}
	return s.out.Flush()
}

// Event writes one message; id may be "". A line of a child holds no CR or LF,
// so one data field carries it.
func (s *Stream) Event(id string, e event.Event) error {
	s.hurry()
	head := "event: message\ndata: "
	if id != "" {
		head = "id: " + id + "\n" + head
	}
	if _, err := io.WriteString(s.out, head); err != nil {
		return err
	}
	if _, err := e.WriteTo(s.out); err != nil {
		return err
	}
	if _, err := io.WriteString(s.out, "\n\n"); err != nil {
		return err
	}
	return s.out.Flush()
}

// Break ends a write that the client does not take, and every one after it.
func (s *Stream) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.cut = true
		_ = s.out.SetWriteDeadline(past)
	}
}

func (s *Stream) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.cut {
		_ = s.out.SetWriteDeadline(time.Now().Add(writeWait))
	}
}

var past = time.Unix(1, 0)
