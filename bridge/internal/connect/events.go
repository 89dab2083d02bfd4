package connect

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// errEventTooLong says that an event passed its bound; its stream cannot go on.
var errEventTooLong = errors.New("an event is longer than is allowed")

// event is one event of a stream (HTML, section 9.2.6).
type event struct {
	name  string
	id    string
	hasID bool
	retry time.Duration // 0 where none was named
	data  []byte
}

// events reads a stream of events in linear time. An event that the stream
// ends in is none.
type events struct {
	r      *bufio.Reader
	max    int
	begun  bool
	skipLF bool // the last line ended in CR; an LF would be of the same end
	line   []byte
}

func newEvents(r io.Reader, max int) *events {
	return &events{r: bufio.NewReaderSize(r, 16<<10), max: max}
}

// next returns the next event that has data, an id or a time to retry after.
func (s *events) next() (event, error) {
	var e event
	for {
		line, err := s.readLine(s.max - len(e.data))
		if err != nil {
			return event{}, err
		}
		if len(line) > 0 {
			e.field(line)
			continue
		}
		if e.data != nil || e.hasID || e.retry > 0 {
			return e, nil
		}
		e = event{}
	}
}

func (e *event) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		if e.data != nil {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, value...)
		if e.data == nil {
			e.data = []byte{}
		}
	case "event":
		e.name = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			e.id, e.hasID = string(value), true
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			e.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

// readLine returns the next line without its end, which is CR, LF or both. It
// is good until the next call.
func (s *events) readLine(max int) ([]byte, error) {
	s.line = s.line[:0]
	for {
		if _, err := s.r.Peek(1); err != nil {
			return nil, err
		}
		have, _ := s.r.Peek(s.r.Buffered())
		if s.skipLF {
			s.skipLF = false
			if have[0] == '\n' {
				_, _ = s.r.Discard(1)
				continue
			}
		}
		end := bytes.IndexAny(have, "\r\n")
		piece := have
		if end >= 0 {
			piece = have[:end]
		}
		if len(s.line)+len(piece) > max+len("data: ") {
			return nil, errEventTooLong
		}
		s.line = append(s.line, piece...)
		if end < 0 {
			_, _ = s.r.Discard(len(have))
			continue
		}
		s.skipLF = have[end] == '\r'
		_, _ = s.r.Discard(end + 1)
		return s.first(s.line), nil
	}
}

// first takes a byte order mark off the first line.
func (s *events) first(line []byte) []byte {
	if s.begun {
		return line
	}
	s.begun = true
	return bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
}
