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

// Stream is the answer to one request: text/event-stream (HTML, section 9.2)
// from the first event on, or one JSON object where nothing came before. Each
// event is flushed by itself: a client may drop what comes in one read with the
// answer.
type Stream struct {
	out  outlet
	w    http.ResponseWriter // until the stream has begun
	gone <-chan struct{}
	tick *time.Ticker // nil until somebody asks for it

	mu     sync.Mutex
	begun  bool
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

// NewStream is for the answer to r, which ends with its handler. Nothing is
// sent yet.
func NewStream(w http.ResponseWriter, r *http.Request) *Stream {
	return &Stream{out: attached{w, http.NewResponseController(w)}, w: w, gone: r.Context().Done()}
}

// Begin makes the answer a stream and sends its headers at once: clients wait
// for them.
func (s *Stream) Begin() error {
	s.mu.Lock()
	begun := s.begun
	s.begun = true
	s.mu.Unlock()
	if begun {
		return nil
	}
	StreamHeader(s.w)
	s.w.WriteHeader(http.StatusOK)
	return s.out.Flush()
}

// Begun reports whether the answer is a stream already.
func (s *Stream) Begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
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
	if s.tick != nil {
		s.tick.Stop()
	}
	s.mu.Lock()
	if s.begun && !s.cut {
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
func (s *Stream) Tick() <-chan time.Time {
	if s.tick == nil {
		s.tick = time.NewTicker(keepalive)
	}
	return s.tick.C
}

// Comment keeps the connection open.
func (s *Stream) Comment() error { return s.Raw(": keepalive\n\n") }

// Raw writes text that is already framed.
func (s *Stream) Raw(text string) error {
	if err := s.ready(); err != nil {
		return err
	}
	if _, err := io.WriteString(s.out, text); err != nil {
		return err
	}
	return s.out.Flush()
}

// Event writes one message; id may be "".
func (s *Stream) Event(id string, e event.Event) error {
	if err := s.head(id); err != nil {
		return err
	}
	if _, err := e.WriteTo(s.out); err != nil {
		return err
	}
	return s.Raw("\n\n")
}

// Send is Event for a message of the bridge's own, without an id.
func (s *Stream) Send(message []byte) error {
	if err := s.head(""); err != nil {
		return err
	}
	if _, err := s.out.Write(message); err != nil {
		return err
	}
	return s.Raw("\n\n")
}

// Last writes the answer: on the stream, or alone with its status.
func (s *Stream) Last(status int, message []byte) {
	if s.Begun() {
		_ = s.Send(message) // the caller is gone: nobody is left to tell
		return
	}
	s.w.Header().Set("Cache-Control", "no-store")
	JSON(s.w, status, message)
}

// head begins an event. A line of a child holds no CR or LF, so one data field
// carries it.
func (s *Stream) head(id string) error {
	if err := s.ready(); err != nil {
		return err
	}
	head := "event: message\ndata: "
	if id != "" {
		head = "id: " + id + "\n" + head
	}
	_, err := io.WriteString(s.out, head)
	return err
}

// ready makes sure that the stream has begun, and gives the next write its time.
func (s *Stream) ready() error {
	if err := s.Begin(); err != nil {
		return err
	}
	s.hurry()
	return nil
}

// Break ends a write that the client does not take, and every one after it. An
// answer that has not begun is in no write.
func (s *Stream) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun && !s.closed {
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
