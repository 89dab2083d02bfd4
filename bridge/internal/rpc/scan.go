package rpc

import (
	"bytes"
	"fmt"
)

// scanner walks JSON without building anything. It never recurses, and looks
// at each byte once.
type scanner struct {
	b      []byte
	i      int
	strict bool // hold it to RFC 8259; else it was before, and is skipped over
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) expect(c byte) error {
	s.space()
	if s.peek() != c {
		return fmt.Errorf("%w: want %q at byte %d", ErrJSON, c, s.i)
	}
	s.i++
	return nil
}

// object walks one object and notes the values of the wanted members.
func (s *scanner) object(keys []member) error {
	return s.members(func(key, value Span) error {
		return find(keys, s.b[key.Start+1:key.End-1], value)
	})
}

// members walks one object. key is the place of the name with its quotes.
func (s *scanner) members(visit func(key, value Span) error) error {
	return s.keys(func(key Span) error {
		value, err := s.value()
		if err != nil {
			return err
		}
		return visit(key, value)
	})
}

// keys walks one object; visit goes over the value of each key.
func (s *scanner) keys(visit func(key Span) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	s.space()
	if s.peek() == '}' {
		s.i++
		return nil
	}
	for {
		s.space()
		key := Span{Start: s.i}
		if err := s.str(); err != nil {
			return err
		}
		key.End = s.i
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := visit(key); err != nil {
			return err
		}
		if more, err := s.more('}'); !more || err != nil {
			return err
		}
	}
}

// items walks one array.
func (s *scanner) items(visit func(Span) error) error {
	return s.each(func() error {
		value, err := s.value()
		if err != nil {
			return err
		}
		return visit(value)
	})
}

// each walks one array; visit goes over each item.
func (s *scanner) each(visit func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	s.space()
	if s.peek() == ']' {
		s.i++
		return nil
	}
	for {
		if err := visit(); err != nil {
			return err
		}
		if more, err := s.more(']'); !more || err != nil {
			return err
		}
	}
}

// more goes over the comma, or over the end.
func (s *scanner) more(end byte) (bool, error) {
	s.space()
	switch s.peek() {
	case ',':
		s.i++
		return true, nil
	case end:
		s.i++
		return false, nil
	}
	return false, fmt.Errorf("%w: want ',' or %q at byte %d", ErrJSON, end, s.i)
}

// value skips one value and returns where it stands.
func (s *scanner) value() (Span, error) {
	s.space()
	start := s.i
	if s.strict {
		return s.strictValue()
	}
	var err error
	switch s.peek() {
	case '"':
		err = s.str()
	case '{', '[':
		err = s.nested()
	default:
		err = s.scalar()
	}
	return Span{start, s.i}, err
}

func (s *scanner) strictValue() (Span, error) {
	start := s.i
	var err error
	switch s.peek() {
	case '"':
		err = s.strictStr()
	case '{', '[':
		err = s.strictNested()
	default:
		err = s.strictScalar()
	}
	return Span{start, s.i}, err
}

// str skips a string. IndexByte makes long strings cheap.
func (s *scanner) str() error {
	if s.strict {
		return s.strictStr()
	}
	if s.peek() != '"' {
		return s.bad("a string")
	}
	start := s.i
	for at := start + 1; ; {
		n := bytes.IndexByte(s.b[at:], '"')
		if n < 0 {
			return fmt.Errorf("%w: a string does not end", ErrJSON)
		}
		end := at + n
		escapes := 0
		for j := end - 1; j >= at && s.b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			s.i = end + 1
			return nil
		}
		at = end + 1
	}
}

func (s *scanner) nested() error {
	depth := 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			if err := s.str(); err != nil {
				return err
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.i++
		if depth == 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: an object or array does not end", ErrJSON)
}

func (s *scanner) scalar() error {
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '+', c == '.':
			s.i++
		default:
			return s.someScalar(start)
		}
	}
	return s.someScalar(start)
}

func (s *scanner) someScalar(start int) error {
	if s.i == start {
		return s.bad("a value")
	}
	return nil
}

// Split returns the messages of a batch (2025-03-26 only), or the one message.
// body must be valid JSON. max bounds the number.
func Split(body []byte, max int) (parts [][]byte, batch bool, err error) {
	s := scanner{b: body}
	s.space()
	if s.peek() != '[' {
		return [][]byte{body}, false, nil
	}
	err = s.items(func(at Span) error {
		if len(parts) == max {
			return fmt.Errorf("%w: more than %d messages in one batch", ErrMessage, max)
		}
		parts = append(parts, body[at.Start:at.End])
		return nil
	})
	if err != nil {
		return nil, true, err
	}
	return parts, true, nil
}

// EachMember walks the object that raw holds, in order, without decoding. key
// is the place of the name with its quotes. What lies inside a value is
// skipped, not checked.
func EachMember(raw []byte, visit func(key, value Span) error) error {
	s := scanner{b: raw}
	if err := s.members(visit); err != nil {
		return err
	}
	return s.over()
}

// MemberOf is where the value of a member stands in the object that raw holds;
// no place where there is none.
func MemberOf(raw []byte, name string) (at Span) {
	_ = EachMember(raw, func(key, value Span) error { // what is no object has none
		if keyIs(raw[key.Start:key.End], name) {
			at = value
		}
		return nil
	})
	return at
}

// Member is the raw value of a member of the object that raw holds, or nil.
func Member(raw []byte, name string) []byte {
	at := MemberOf(raw, name)
	if at.None() {
		return nil
	}
	return raw[at.Start:at.End:at.End]
}

// EachItem walks the array that raw holds.
func EachItem(raw []byte, visit func(Span) error) error {
	s := scanner{b: raw}
	if err := s.items(visit); err != nil {
		return err
	}
	return s.over()
}

func (s *scanner) over() error {
	if s.space(); s.i != len(s.b) {
		return fmt.Errorf("%w: bytes after its end", ErrJSON)
	}
	return nil
}
