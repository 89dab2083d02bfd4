package rpc

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// member is a key that an object is searched for, and where to note its value.
type member struct {
	key   string
	value *Span
}

// beginnings are the letters, in either case, with which the keys begin that are
// looked for: by them most others are told apart.
type beginnings uint64

func letters(keys []member) (b beginnings) {
	for _, k := range keys {
		b |= 1 << (k.key[0] & 0x1f)
	}
	return b
}

// first reports whether a key, without its quotes, may be one of them.
func (b beginnings) first(raw []byte) bool {
	if len(raw) == 0 {
		return false
	}
	c := firstRune(raw)
	return c >= 0x80 || b&(1<<(c&0x1f)) != 0 // one past ASCII may be another case of a letter
}

// mayBegin reports whether a key, without its quotes, may begin with the letter
// in either case.
func mayBegin(raw []byte, letter byte) bool {
	c := firstRune(raw)
	return c >= 0x80 || c&0x1f == rune(letter&0x1f)
}

func firstRune(raw []byte) rune {
	c := rune(raw[0])
	if c == '\\' && escapeLen(raw) == 6 {
		c, _ = hex4(raw[2:])
	}
	return c
}

// find notes the value of a key. A key that differs only in case, or that is
// escaped, is refused: Go's own decoder, for one, would take it for the same.
// An error has a copy of the key: that leaves keys, and what they note, on the
// stack of the caller.
func find(keys []member, raw []byte, value Span) error {
	if bytes.IndexByte(raw, '\\') >= 0 {
		var room [keyRoom]byte
		text, fits := unescape(room[:0], raw)
		for _, k := range keys {
			if fits && likeKey(text, k.key) {
				return fmt.Errorf("%w: the key %q is written with escapes", ErrMessage, strings.Clone(k.key))
			}
		}
		return nil
	}
	for _, k := range keys {
		if string(raw) == k.key {
			if !k.value.None() {
				return fmt.Errorf("%w: the key %q is there twice", ErrMessage, strings.Clone(k.key))
			}
			*k.value = value
			return nil
		}
	}
	for _, k := range keys {
		if likeKey(raw, k.key) {
			return fmt.Errorf("%w: the key %q is written in other case", ErrMessage, strings.Clone(k.key))
		}
	}
	return nil
}

// likeKey reports whether text is key but for case. A letter of ASCII has
// another case of up to three bytes (the Kelvin sign is a k).
func likeKey(text []byte, key string) bool {
	if len(text) < len(key) || len(text) > 3*len(key) {
		return false
	}
	if c := text[0]; c < 0x80 && c|0x20 != key[0]|0x20 {
		return false
	}
	return strings.EqualFold(string(text), key)
}

// Like reports whether a key, as it stands with its quotes, says name but for
// case, and whether it says exactly that.
func Like(key []byte, name string) (like, exact bool) {
	inner := key[1 : len(key)-1]
	if string(inner) == name {
		return true, true
	}
	if len(inner) < len(name) || !mayBegin(inner, name[0]) {
		return false, false
	}
	var room [keyRoom]byte
	if bytes.IndexByte(inner, '\\') >= 0 {
		text, fits := unescape(room[:0], inner)
		if !fits {
			return false, false
		}
		inner = text
	}
	return likeKey(inner, name), string(inner) == name
}

// keyRoom is more than any key that is looked for has in any case.
const keyRoom = 128

// unescape appends what a string of JSON, without its quotes, says, as long as
// that fits into dst.
func unescape(dst, raw []byte) (text []byte, fits bool) {
	for i := 0; i < len(raw); {
		if cap(dst)-len(dst) < utf8.UTFMax {
			return nil, false
		}
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		n := escapeLen(raw[i:])
		switch n {
		case 2:
			dst = append(dst, escaped[raw[i+1]])
		case 6:
			r, _ := hex4(raw[i+2:])
			dst = utf8.AppendRune(dst, r) // half of a pair is no part of any key
		default:
			return nil, false
		}
		i += n
	}
	return dst, true
}

// keyIs reports whether a key, as it stands with its quotes, says name.
func keyIs(key []byte, name string) bool {
	inner := key[1 : len(key)-1]
	if len(inner) < len(name) || !mayBegin(inner, name[0]) {
		return false
	}
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner) == name
	}
	var room [keyRoom]byte
	text, fits := unescape(room[:0], inner)
	return fits && string(text) == name
}
