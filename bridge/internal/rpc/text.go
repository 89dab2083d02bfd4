package rpc

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// Unquote decodes a JSON string; false for anything else. Most are plain and
// need no decoder.
func Unquote(raw []byte) (string, bool) {
	text, ok := Unquoted(raw)
	return string(text), ok
}

// Unquoted is Unquote without an allocation for a plain string: the text is
// that within raw.
func Unquoted(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil, false
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		text, ok := unescaped(inner)
		if !ok {
			return nil, false
		}
		inner = text
	} else if plainRun(inner) != len(inner) {
		return nil, false
	}
	if !utf8.Valid(inner) {
		return mended(inner), true
	}
	return inner, true
}

// mended has a replacement character for each byte that is no UTF-8, as
// encoding/json reads it.
func mended(text []byte) []byte {
	out := make([]byte, 0, len(text)+utf8.UTFMax)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		out, text = utf8.AppendRune(out, r), text[n:]
	}
	return out
}

// unescaped is what a string with escapes says.
func unescaped(raw []byte) ([]byte, bool) {
	out := make([]byte, 0, len(raw))
	for {
		n := plainRun(raw)
		out, raw = append(out, raw[:n]...), raw[n:]
		if len(raw) == 0 {
			return out, true
		}
		for len(raw) > 0 && raw[0] == '\\' {
			switch n := escapeLen(raw); n {
			case 2:
				out, raw = append(out, escaped[raw[1]]), raw[2:]
			case 6:
				r, _ := hex4(raw[2:])
				raw = raw[6:]
				if utf16.IsSurrogate(r) {
					r, raw = pair(r, raw)
				}
				out = utf8.AppendRune(out, r)
			default:
				return nil, false
			}
		}
		if len(raw) > 0 && (raw[0] == '"' || raw[0] < ' ') {
			return nil, false
		}
	}
}

// pair is the letter of two halves, the second of which raw begins with.
func pair(first rune, raw []byte) (rune, []byte) {
	if escapeLen(raw) == 6 {
		second, _ := hex4(raw[2:])
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, raw[6:]
		}
	}
	return utf8.RuneError, raw // half of a pair is no letter
}

// Quote is a string as JSON has it.
func Quote(s string) []byte {
	text, _ := json.Marshal(s) // a string always has a form in JSON
	return text
}
