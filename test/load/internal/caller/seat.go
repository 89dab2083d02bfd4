package caller

import (
	"fmt"

	"gatehouse/test/load/internal/wire"
)

// Seat is a session of /mcp without a connection of its own: whoever calls for
// it lends one. Many can be held that are seldom used.
type Seat struct {
	header string
	number int64
	seq    int
	stream *wire.Conn // open for as long as the seat is kept
}

// Take opens a session on the connection; header is who it is for, in complete
// lines.
func Take(c *wire.Conn, header string) (*Seat, error) {
	s := &session{post: c, path: "/mcp", own: header}
	if err := s.Open(); err != nil {
		return nil, err
	}
	return &Seat{header: s.header, number: made.Add(1)}, nil
}

// Call makes the next call of the session.
func (s *Seat) Call(c *wire.Conn) (Verdict, error) {
	s.seq++
	var b [512]byte
	resp, err := c.Do("POST", "/mcp", s.header, echoBody(b[:0], s.number, s.seq))
	return verdictOf(resp, err, s.number, s.seq)
}

// Listen opens the session's standing stream, which is the connection's from
// then on.
func (s *Seat) Listen(c *wire.Conn) error {
	s.stream = c
	_, err := c.Stream("/mcp", s.header)
	return err
}

// echoBody asks the echo of server-everything, which calls its text a message,
// and that of the fast child.
func echoBody(b []byte, number int64, seq int) []byte {
	b = fmt.Appendf(b, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":`, seq)
	b = append(b, `{"name":"echo","arguments":{"message":"`...)
	b = append(text(b, number, seq), `","text":"`...)
	return append(text(b, number, seq), `"}}}`...)
}
