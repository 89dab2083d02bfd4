package rpc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// maxDepth is how deep values may lie in each other, as encoding/json has it.
const maxDepth = 10_000

// nesting remembers, for each open value, whether it is an object. The values
// of most messages lie less than 64 deep: the last 64 are in one word.
type nesting struct {
	last  uint64   // the innermost open value is the lowest bit
	outer []uint64 // each 64 more, outermost first
	depth int
}

func (n *nesting) push(object bool) {
	if n.depth%64 == 0 && n.depth > 0 {
		n.outer = append(n.outer, n.last)
	}
	n.last <<= 1
	if object {
		n.last |= 1
	}
	n.depth++
}

func (n *nesting) pop() {
	n.last >>= 1
	if n.depth--; n.depth%64 == 0 && n.depth > 0 {
		n.last, n.outer = n.outer[len(n.outer)-1], n.outer[:len(n.outer)-1]
	}
}

func (n *nesting) inObject() bool { return n.last&1 != 0 }

// strictNested goes over one object or array and holds it to RFC 8259.
func (s *scanner) strictNested() error {
	var open nesting
	b, i, bad := s.b, s.i, ""
	for {
		i = spaces(b, i)
		switch c := at(b, i); c {
		case '{', '[':
			if open.depth == maxDepth {
				s.i = i
				return fmt.Errorf("%w: values lie more than %d deep in each other", ErrJSON, maxDepth)
			}
			open.push(c == '{')
			if i = spaces(b, i+1); at(b, i) == c+2 { // '}' or ']'
				break // as after its last value
			}
			if c == '{' {
				i, bad = keyEnd(b, i)
			}
			if bad == "" {
				continue
			}
		case '"':
			i, bad = stringEnd(b, i)
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			if next := at(b, i+1); next == ',' || next == ']' || next == '}' {
				i++
				break // many are of one digit
			}
			i, bad = numberEnd(b, i)
		default:
			i, bad = scalarEnd(b, i)
		}
		for bad == "" { // a value is complete
			if open.depth == 0 {
				s.i = i
				return nil
			}
			object := open.inObject()
			i = spaces(b, i)
			switch c := at(b, i); {
			case c == '}' && object, c == ']' && !object:
				i++
				open.pop()
				continue
			case c != ',':
				bad = "',' or the end of an object or array"
			case object:
				i, bad = keyEnd(b, spaces(b, i+1))
			default:
				i++
			}
			break
		}
		if bad != "" {
			s.i = i
			return s.bad(bad)
		}
	}
}

// at is the byte at a place, 0 past the end.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// spaces is the first place from i on that holds no space.
func spaces(b []byte, i int) int {
	if i < len(b) && b[i] > ' ' {
		return i
	}
	return moreSpaces(b, i)
}

func moreSpaces(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// keyEnd goes over a name and its colon. What a text lacks is told with the
// place.
func keyEnd(b []byte, i int) (end int, bad string) {
	if i, bad = stringEnd(b, i); bad != "" {
		return i, bad
	}
	if i = spaces(b, i); at(b, i) != ':' {
		return i, "':'"
	}
	return i + 1, ""
}

func stringEnd(b []byte, i int) (end int, bad string) {
	if at(b, i) != '"' {
		return i, "a string"
	}
	for i++; ; {
		i += plainRun(b[i:])
		for at(b, i) == '\\' {
			n := escapeLen(b[i:])
			if n == 0 {
				return i, "an escape of JSON"
			}
			i += n
		}
		switch c := at(b, i); {
		case c == '"':
			return i + 1, ""
		case c < ' ':
			return i, "the end of a string, and no control character in it"
		}
	}
}

func (s *scanner) strictStr() error { return s.end(stringEnd(s.b, s.i)) }

func (s *scanner) strictScalar() error { return s.end(scalarEnd(s.b, s.i)) }

func (s *scanner) end(i int, bad string) error {
	if s.i = i; bad != "" {
		return s.bad(bad)
	}
	return nil
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainRun is the number of bytes before the first quote, backslash or control
// character. It looks at many at a time: strings are most of most messages.
func plainRun(b []byte) int {
	rest := b
	if len(rest) >= 8 { // most names and many texts end here
		if hit := marks(binary.LittleEndian.Uint64(rest)); hit != 0 {
			return bits.TrailingZeros64(hit) / 8
		}
		rest = rest[8:]
	}
	for len(rest) >= 32 {
		hit := marks(binary.LittleEndian.Uint64(rest)) | marks(binary.LittleEndian.Uint64(rest[8:])) |
			marks(binary.LittleEndian.Uint64(rest[16:])) | marks(binary.LittleEndian.Uint64(rest[24:]))
		if hit != 0 {
			break
		}
		rest = rest[32:]
	}
	for len(rest) >= 8 {
		if hit := marks(binary.LittleEndian.Uint64(rest)); hit != 0 {
			return len(b) - len(rest) + bits.TrailingZeros64(hit)/8
		}
		rest = rest[8:]
	}
	i := len(b) - len(rest)
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// marks has the high bit of the first byte of w set that is a quote, a backslash
// or a control character; 0 where there is none. Bytes above the first may be
// marked wrongly.
func marks(w uint64) uint64 {
	return (((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones) | (w - ones*' ')) &^ w & highs
}

// escapeLen is the length of the escape that b begins with, 0 where it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 || b[0] != '\\' {
		return 0
	}
	if escaped[b[1]] != 0 {
		return 2
	}
	if b[1] == 'u' {
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// escaped is what a letter stands for behind a backslash, 0 for none.
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

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

func scalarEnd(b []byte, i int) (end int, bad string) {
	var word string
	switch at(b, i) {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	default:
		return numberEnd(b, i)
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return i, "a value"
	}
	return i + len(word), ""
}

// numberEnd goes over a number (RFC 8259, section 6).
func numberEnd(b []byte, i int) (end int, bad string) {
	if at(b, i) == '-' {
		i++
	}
	start := i
	if i = digits(b, i); i == start {
		return i, "a value"
	}
	if b[start] == '0' {
		i = start + 1 // no digit may follow
	}
	if at(b, i) == '.' {
		start = i + 1
		if i = digits(b, start); i == start {
			return i, "a digit"
		}
	}
	if at(b, i)|0x20 == 'e' {
		if i++; at(b, i) == '+' || at(b, i) == '-' {
			i++
		}
		start = i
		if i = digits(b, start); i == start {
			return i, "a digit"
		}
	}
	return i, ""
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func (s *scanner) bad(want string) error { return &syntaxError{want, s.i} }

// syntaxError is an ErrJSON with its place. Its text is made only where it is
// told: a list can hold a million of them.
type syntaxError struct {
	want string
	at   int
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("%v: want %s at byte %d", ErrJSON, e.want, e.at)
}

// Unwrap implements errors.Is.
func (e *syntaxError) Unwrap() error { return ErrJSON }

// Valid reports whether b is one value of JSON.
func Valid(b []byte) bool {
	s := scanner{b: b, strict: true}
	if _, err := s.value(); err != nil {
		return false
	}
	s.space()
	return s.i == len(b)
}
