package stateless

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// writer answers one POST: with one JSON object where the answer comes first,
// with a stream from the first notification on.
type writer struct {
	w       http.ResponseWriter
	r       *http.Request
	started bool

	mu     sync.Mutex
	cut    bool
	closed bool // the connection may be another answer's now
}

// writeWait is how long a client may take no byte of a stream.
const writeWait = 60 * time.Second

var past = time.Unix(1, 0)

// cutOff ends a write that the client does not take, and every one after it.
func (o *writer) cutOff() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.cut = true
		_ = http.NewResponseController(o.w).SetWriteDeadline(past)
	}
}

func (o *writer) hurry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.cut {
		_ = http.NewResponseController(o.w).SetWriteDeadline(time.Now().Add(writeWait)) // a recorder in a test has none
	}
}

// close comes when the handler returns.
func (o *writer) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.started && !o.cut {
		_ = http.NewResponseController(o.w).SetWriteDeadline(time.Time{}) // the next answer on the connection has none
	}
	o.closed = true
}

func (o *writer) canStream() bool {
	accept := o.r.Header.Get("Accept")
	return accept == "" || strings.Contains(accept, "text/event-stream") || strings.Contains(accept, "*/*")
}

func (o *writer) start() error {
	if !o.started {
		o.started = true
		h := o.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		o.w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(o.w).Flush()
}

// event writes one message. A raw CR or LF would end the line of the stream;
// in JSON both stand between tokens only, and the wire reader took them out.
func (o *writer) event(message []byte) error {
	if !o.started {
		if err := o.start(); err != nil {
			return err
		}
	}
	o.hurry()
	for _, part := range [][]byte{[]byte("data: "), message, []byte("\n\n")} {
		if _, err := o.w.Write(part); err != nil {
			return err
		}
	}
	return http.NewResponseController(o.w).Flush()
}

func (o *writer) comment() error {
	if err := o.start(); err != nil {
		return err
	}
	o.hurry()
	if _, err := o.w.Write([]byte(": \n\n")); err != nil {
		return err
	}
	return http.NewResponseController(o.w).Flush()
}

// last writes the answer: on the stream, or alone with its status.
func (o *writer) last(status int, message []byte) {
	if o.started {
		_ = o.event(message) // the caller is gone: nobody is left to tell
		return
	}
	writeJSON(o.w, status, message)
}
