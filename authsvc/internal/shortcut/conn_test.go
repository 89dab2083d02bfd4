package shortcut

import (
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// script is a connection that gives these bytes, read by read.
type script struct {
	net.Conn
	reads   []string
	written int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.reads[0])
	if s.reads[0] = s.reads[0][n:]; s.reads[0] == "" {
		s.reads = s.reads[1:]
	}
	return n, nil
}
func (s *script) Write(b []byte) (int, error)       { s.written++; return len(b), nil }
func (*script) SetDeadline(time.Time) error         { return nil }
func always(dst []byte, _, _ string) ([]byte, bool) { return append(dst, "yes"...), true }

// TestWhatNetHTTPHolds plays the reads of net/http: the bytes that it has read
// ahead belong to a head or body that only it can know.
func TestWhatNetHTTPHolds(t *testing.T) {
	const hot, idle = "GET /auth HTTP/1.1\r\nHost: x\r\n\r\n", 0
	const oneByte = "POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
	for name, c := range map[string]struct {
		arrives  []string
		reads    []int // sizes of net/http's buffer; idle: its request is over
		answered int
		gets     []string
	}{
		"a head": {[]string{hot, hot, hot}, []int{4096, idle, 4096}, 2, []string{hot}},
		"a byte of the next head, read in the background": {
			[]string{hot, "G", hot[1:], hot}, []int{4096, 1, idle, 4096, idle, 4096}, 1, []string{hot, "G", hot[1:]},
		},
		"a body that looks like a head": {
			[]string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 33\r\n\r\n", hot, hot}, []int{4096, 4096, idle, 4096}, 0,
			[]string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 33\r\n\r\n", hot, hot},
		},
		"a head and a half": {
			[]string{hot + "GET /x HTTP/1.1\r\nX: ", hot}, []int{4096, idle, 4096}, 0, []string{hot + "GET /x HTTP/1.1\r\nX: ", hot},
		},
		"a body read byte by byte": {
			[]string{"GET /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", "G", hot}, []int{4096, 1, idle, 4096}, 0,
			[]string{"GET /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", "G", hot},
		},
		"a body of one byte, and the connection is fast again": {
			[]string{oneByte, "G", hot, hot}, []int{4096, 1, idle, 4096, idle, 4096}, 1, []string{oneByte, "G", hot},
		},
		"a body of one byte that makes a head of what is none": {
			[]string{oneByte, "G", hot[1:], hot}, []int{4096, 1, idle, 4096, idle, 4096}, 1, []string{oneByte, "G", hot[1:]},
		},
		"a body of two bytes, one by one": {
			[]string{"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", "G", "E", hot}, []int{4096, 1, 1, idle, 4096}, 0,
			[]string{"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", "G", "E", hot},
		},
		"three bytes of a head": {
			[]string{hot, hot[:3], hot[3:], hot}, []int{4096, idle, 4096, 4096, idle, 4096}, 0, []string{hot, hot[:3], hot[3:], hot},
		},
		"half a head": {
			[]string{hot, "GET /x HTTP/1.1\r\nX: ", hot, hot}, []int{4096, idle, 4096, 4096, idle, 4096}, 0,
			[]string{hot, "GET /x HTTP/1.1\r\nX: ", hot, hot},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner := &script{reads: c.arrives}
			conn := &conn{Conn: inner, l: &Listener{Path: "/auth", Idle: time.Minute, Answer: always}}
			var gets []string
			for _, size := range c.reads {
				if size == idle {
					ConnState(conn, http.StateIdle)
					continue
				}
				p := make([]byte, size)
				if n, _ := conn.Read(p); n > 0 {
					gets = append(gets, string(p[:n]))
				}
			}
			if inner.written != c.answered || !slices.Equal(gets, c.gets) {
				t.Errorf("answered %d, want %d; net/http got %q, want %q", inner.written, c.answered, gets, c.gets)
			}
		})
	}
}

func TestWhatIsAHead(t *testing.T) {
	for text, want := range map[string]bool{"": false, "GET": false, "GET ": false, "\r\n\r\n": true, "a\r\n\r\n": true, "a\r\n\r\nb": false, "a\r\n\r\n\r\n\r\n": false} {
		if isHead([]byte(text)) != want {
			t.Errorf("isHead(%q) is %v", text, !want)
		}
	}
}
