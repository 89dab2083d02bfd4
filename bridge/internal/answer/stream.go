package answer

import (
	"io"
	"net/http"
	"time"

	"gatehouse/bridge/internal/session"
)

const (
	keepalive = 15 * time.Second
	writeWait = 60 * time.Second // a peer that takes no byte for so long is gone
)

// Stream writes text/event-stream (HTML, section 9.2). Each event is flushed
// by itself: a client may drop what comes in one read with the answer.
type Stream struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	tick *time.Ticker
}

// NewStream sends the headers at once: clients wait for them.
func NewStream(w http.ResponseWriter) *Stream {
	StreamHeader(w)
	w.WriteHeader(http.StatusOK)
	s := &Stream{w: w, ctl: http.NewResponseController(w), tick: time.NewTicker(keepalive)}
	_ = s.ctl.Flush()
	return s
}

// StreamHeader sets the headers of an event stream.
func StreamHeader(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// Close frees the ticker.
func (s *Stream) Close() { s.tick.Stop() }

// Tick says when a comment is due.
func (s *Stream) Tick() <-chan time.Time { return s.tick.C }

// Comment keeps the connection open.
func (s *Stream) Comment() error { return s.Raw(": keepalive\n\n") }

// Raw writes text that is already framed.
func (s *Stream) Raw(text string) error {
	s.hurry()
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// Event writes one message; id may be "". A line of a child holds no CR or LF,
// so one data field carries it.
func (s *Stream) Event(id string, e session.Event) error {
	s.hurry()
	head := "event: message\ndata: "
	if id != "" {
		head = "id: " + id + "\n" + head
	}
	if _, err := io.WriteString(s.w, head); err != nil {
		return err
	}
	if _, err := e.WriteTo(s.w); err != nil {
		return err
	}
	if _, err := io.WriteString(s.w, "\n\n"); err != nil {
		return err
	}
	return s.ctl.Flush()
}

func (s *Stream) hurry() { _ = s.ctl.SetWriteDeadline(time.Now().Add(writeWait)) }
