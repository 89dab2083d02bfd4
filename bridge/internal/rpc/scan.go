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

	within string   // the member of an object whose own members are searched for too,
	inside []member // in the same walk; none where it is empty
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() { s.i = spaces(s.b, s.i) }

func (s *scanner) expect(c byte) error {
	s.space()
	if s.peek() != c {
		return s.bad(string(rune(c)))
	}
	s.i++
	return nil
}

// object walks one object and notes the values of the wanted members. It is the
// walk that every message takes, and calls nothing for a member that is not
// wanted.
func (s *scanner) object(keys []member) error {
	maybe, look := letters(keys), len(s.inside) > 0
	err := s.expect('{')
	if err != nil {
		return err
	}
	if s.space(); s.peek() == '}' {
		s.i++
		return nil
	}
	for {
		s.space()
		start := s.i
		if err := s.str(); err != nil {
			return err
		}
		key := s.b[start+1 : s.i-1]
		if s.peek() == ':' {
			s.i++
		} else if err := s.expect(':'); err != nil {
			return err
		}
		s.space()
		value := Span{s.i, s.i + 1}
		switch c := s.peek(); {
		case c-'0' <= 9 && ends(at(s.b, s.i+1)): // many are of one digit
			s.i++
		case c == '{' && look && string(key) == s.within:
			value, err = s.insides()
		default:
			value, err = s.value()
		}
		if err != nil {
			return err
		}
		if maybe.first(key) {
			if err := find(keys, key, value); err != nil {
				return err
			}
		}
		if s.peek() == ',' {
			s.i++
		} else if more, err := s.more('}'); !more || err != nil {
			return err
		}
	}
}

// ends tells whether a value has ended in front of the byte.
func ends(c byte) bool { return c == ',' || c == '}' || c == ']' }

// insides is value for an object whose members are searched for too.
func (s *scanner) insides() (Span, error) {
	inner := scanner{b: s.b, i: s.i, strict: s.strict}
	err := inner.object(s.inside)
	at := Span{s.i, inner.i}
	s.i = inner.i
	return at, err
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
	return false, s.bad("',' or the end of an object or array")
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

// str goes over a string.
func (s *scanner) str() error {
	if s.strict {
		return s.strictStr()
	}
	if s.peek() != '"' {
		return s.bad("a string")
	}
	end := looseString(s.b, s.i)
	if end < 0 {
		return fmt.Errorf("%w: a string does not end", ErrJSON)
	}
	s.i = end
	return nil
}

const shortString = 32 // bytes, up to which a loop is faster than bytes.IndexByte

// looseString is the end of the string that begins at i, or less than 0.
func looseString(b []byte, i int) int {
	for i++; ; {
		near := min(len(b), i+shortString)
		for i < near && b[i] != '"' && b[i] != '\\' {
			i++
		}
		if i == near {
			n := bytes.IndexByte(b[i:], '"')
			if n < 0 {
				return -1
			}
			if slash := bytes.IndexByte(b[i:i+n], '\\'); slash >= 0 {
				n = slash
			}
			i += n
		}
		for i < len(b) && b[i] == '\\' {
			i += 2
		}
		switch {
		case i >= len(b):
			return -1
		case b[i] == '"':
			return i + 1
		}
	}
}

// structural are the bytes that a value in which others lie is read by.
var structural = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true}

func (s *scanner) nested() error {
	depth, b := 0, s.b
	for i := s.i; i < len(b); {
		c := b[i]
		if !structural[c] {
			i++
			continue
		}
		switch c {
		case '"':
			if i = looseString(b, i); i < 0 {
				return fmt.Errorf("%w: a string does not end", ErrJSON)
			}
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		i++
		if depth == 0 {
			s.i = i
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
	if len(raw) == 0 || raw[0] != '{' {
		return Span{}
	}
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
