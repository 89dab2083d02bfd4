package rpc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// maxDepth is how deep values may lie in each other, as encoding/json has it.
const maxDepth = 10_000

// nesting remembers, for each open value, whether it is an object.
type nesting struct {
	bits  [maxDepth/64 + 1]uint64
	depth int
}

func (n *nesting) push(object bool) error {
	if n.depth == maxDepth {
		return fmt.Errorf("%w: values lie more than %d deep in each other", ErrJSON, maxDepth)
	}
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	if n.bits[word] &^= bit; object {
		n.bits[word] |= bit
	}
	n.depth++
	return nil
}

func (n *nesting) inObject() bool {
	at := n.depth - 1
	return n.bits[at/64]&(1<<(at%64)) != 0
}

// strictNested goes over one object or array and holds it to RFC 8259.
func (s *scanner) strictNested() error {
	var open nesting
	for {
		done, err := s.strictOpen(&open)
		if err != nil {
			return err
		}
		for done { // a value is complete: what follows it?
			if open.depth == 0 {
				return nil
			}
			if done, err = s.strictAfter(&open); err != nil {
				return err
			}
		}
	}
}

// strictOpen goes over a scalar, or over the beginning of an object or array
// up to its first value. done says that a value is complete.
func (s *scanner) strictOpen(open *nesting) (done bool, err error) {
	s.space()
	switch c := s.peek(); c {
	case '{', '[':
		s.i++
		if err := open.push(c == '{'); err != nil {
			return false, err
		}
		s.space()
		if s.peek() == c+2 { // '}' or ']'
			s.i++
			open.depth--
			return true, nil
		}
		if c == '{' {
			return false, s.strictKey()
		}
		return false, nil
	case '"':
		return true, s.strictStr()
	}
	return true, s.strictScalar()
}

// strictAfter goes over what follows a value. done says that the value around
// it is complete too.
func (s *scanner) strictAfter(open *nesting) (done bool, err error) {
	object, end := open.inObject(), byte(']')
	if object {
		end = '}'
	}
	s.space()
	switch s.peek() {
	case end:
		s.i++
		open.depth--
		return true, nil
	case ',':
		s.i++
		if object {
			return false, s.strictKey()
		}
		return false, nil
	}
	return false, s.bad("',' or the end of an object or array")
}

func (s *scanner) strictKey() error {
	s.space()
	if err := s.strictStr(); err != nil {
		return err
	}
	return s.expect(':')
}

func (s *scanner) strictStr() error {
	if s.peek() != '"' {
		return s.bad("a string")
	}
	for s.i++; ; {
		s.i += plainRun(s.b[s.i:])
		if s.i == len(s.b) {
			return fmt.Errorf("%w: a string does not end", ErrJSON)
		}
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c != '\\':
			return s.bad("no control character in a string")
		}
		n := escapeLen(s.b[s.i:])
		if n == 0 {
			return s.bad("an escape of JSON")
		}
		s.i += n
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainRun is the number of bytes before the first quote, backslash or control
// character. It looks at eight at a time: strings are most of most messages.
func plainRun(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// A byte's high bit is set where the byte is 0, or below a space. Bytes
		// above the first such one may be set wrongly; only the first is used.
		hit := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// escapeLen is the length of the escape that b begins with, 0 where it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 || b[0] != '\\' {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r |= rune(c|0x20-'a') + 10
		default:
			return 0, false
		}
	}
	return r, true
}

func (s *scanner) strictScalar() error {
	switch s.peek() {
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(word string) error {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.bad("a value")
	}
	s.i += len(word)
	return nil
}

// number goes over a number (RFC 8259, section 6).
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.i++
	}
	switch {
	case s.peek() == '0':
		s.i++
	case !s.digits():
		return s.bad("a value")
	}
	if s.peek() == '.' {
		if s.i++; !s.digits() {
			return s.bad("a digit")
		}
	}
	if s.peek()|0x20 == 'e' {
		if s.i++; s.peek() == '+' || s.peek() == '-' {
			s.i++
		}
		if !s.digits() {
			return s.bad("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

func (s *scanner) bad(want string) error {
	return fmt.Errorf("%w: want %s at byte %d", ErrJSON, want, s.i)
}

// Valid reports whether b is one value of JSON.
func Valid(b []byte) bool {
	s := scanner{b: b, strict: true}
	if _, err := s.value(); err != nil {
		return false
	}
	s.space()
	return s.i == len(b)
}
