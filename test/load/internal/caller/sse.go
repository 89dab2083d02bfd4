package caller

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"time"

	"gatehouse/test/load/internal/wire"
)

// sse is a client of 2024-11-05: answers come on the stream of GET /sse.
type sse struct {
	post, get *wire.Conn
	prefix    string
	path      string // where the endpoint event says to post
	events    *bufio.Reader
	number    int64
	body      []byte
}

var errEvent = errors.New("the stream does not start with an endpoint event")

func (s *sse) Open() error {
	events, err := s.get.Stream(s.prefix+"/sse", "Accept: text/event-stream\r\n")
	if err != nil {
		return err
	}
	s.events = events
	name, data, err := s.event()
	if err != nil {
		return fmt.Errorf("endpoint event: %w", err)
	}
	if name != "endpoint" {
		return errEvent
	}
	endpoint, err := url.Parse(string(data))
	if err != nil {
		return fmt.Errorf("endpoint event: %w", err)
	}
	s.path = endpoint.RequestURI()
	return s.handshake()
}

func (s *sse) handshake() error {
	if err := s.send([]byte(initialize)); err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	for {
		_, data, err := s.event()
		if err != nil {
			return fmt.Errorf("initialize: %w", err)
		}
		if bytes.Contains(data, []byte("protocolVersion")) {
			break
		}
		if !bytes.Contains(data, []byte(`"method"`)) { // a server may log first
			return fmt.Errorf("initialize was answered %.200s", data)
		}
	}
	return s.send([]byte(initialized))
}

func (s *sse) send(body []byte) error {
	resp, err := s.post.Do("POST", s.path, jsonHeader, body)
	if err != nil {
		return err
	}
	if resp.Status/100 != 2 {
		return fmt.Errorf("status %d: %.200s", resp.Status, resp.Body)
	}
	return nil
}

// Call takes the first message that has the call's id or another's text. A
// late answer to an earlier call of its own is passed over.
func (s *sse) Call(seq int) (Verdict, error) {
	s.body = callBody(s.body[:0], s.number, seq, "")
	s.get.Deadline(time.Now().Add(Timeout))
	if err := s.send(s.body); err != nil {
		return Refused, err
	}
	for {
		_, data, err := s.event()
		if err != nil {
			return Lost, err
		}
		v := judge(data, s.number, seq)
		if v == Wrong && !hasID(data, seq) {
			continue
		}
		if v != Good {
			return v, fmt.Errorf("call %d of caller %d was answered %.300s", seq, s.number, data)
		}
		return Good, nil
	}
}

// event reads one event with data; comments that keep the stream alive and
// chunk ends are passed over.
func (s *sse) event() (name string, data []byte, err error) {
	for {
		line, err := s.events.ReadSlice('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0 && data != nil:
			return name, data, nil
		case bytes.HasPrefix(line, []byte("event:")):
			name = string(bytes.TrimSpace(line[len("event:"):]))
		case bytes.HasPrefix(line, []byte("data:")):
			data = append(data, bytes.TrimSpace(line[len("data:"):])...)
		}
	}
}

// Rest ends the connection that posts: an idle client has only its stream. The
// next call dials again.
func (s *sse) Rest() { s.post.Close() }

func (s *sse) Close() {
	s.get.Close()
	s.post.Close()
}
