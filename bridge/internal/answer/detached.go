package answer

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"
)

// Detach makes the answer a stream that outlives its handler: the handler
// returns, and with it go net/http's buffers and its stack, which are most of
// what a stream costs that says nothing. The body has no length and ends with
// the connection (RFC 9112, section 6.3, 8).
func Detach(w http.ResponseWriter) (*Stream, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	StreamHeader(w)
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	out, gone := &detached{Conn: conn}, make(chan struct{})
	s := &Stream{out: out, gone: gone, begun: true}
	go out.watch(gone)
	s.hurry()
	_, _ = out.Write([]byte("HTTP/1.1 200 OK\r\n"))
	_ = h.Write(out)
	_, _ = out.Write([]byte("\r\n"))
	if out.Flush() != nil {
		_ = conn.Close() // who takes no headers takes nothing: every write to come fails at once
	}
	return s, nil
}

// detached is an outlet of its own. It has a buffer only while it writes.
type detached struct {
	net.Conn
	buf *bufio.Writer
}

var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}

// Write implements outlet.
func (d *detached) Write(b []byte) (int, error) {
	if d.buf == nil {
		d.buf = buffers.Get().(*bufio.Writer)
		d.buf.Reset(d.Conn)
	}
	return d.buf.Write(b)
}

// Flush implements outlet.
func (d *detached) Flush() error {
	if d.buf == nil {
		return nil
	}
	err := d.buf.Flush()
	d.buf.Reset(nil) // the pool must not keep the connection
	buffers.Put(d.buf)
	d.buf = nil
	return err
}

// watch waits for the client's end. One that goes on talking on a connection
// whose answer never ends is ended too: it broke the protocol.
func (d *detached) watch(gone chan<- struct{}) {
	var one [1]byte
	_, _ = d.Conn.Read(one[:])
	close(gone)
}
