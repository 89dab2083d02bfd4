package rpc

import (
	"math"
	"strconv"
	"strings"
)

func isID(raw []byte) bool {
	if len(raw) == 0 {
		return false
	}
	c := raw[0]
	return c == '"' || c == '-' || c >= '0' && c <= '9'
}

// Key is one text for all ids or tokens that a program may take for the same:
// 1, 1.0 and "1", or "a" and "\u0061". Children give back ids in any of these.
func Key(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	if raw[0] != '"' {
		return number(string(raw))
	}
	text, ok := Unquote(raw)
	if !ok {
		return string(raw)
	}
	if isInteger(text) {
		return text
	}
	return `"` + text + `"`
}

// Find is the entry of m for an id or a token in any of its forms. m has such
// as Plain takes for keys, or what Key makes of others.
func Find[T any](m map[string]T, raw []byte) (entry T, ok bool) {
	if entry, ok = m[string(raw)]; !ok && len(raw) > 0 {
		entry, ok = m[Key(raw)]
	}
	return entry, ok
}

// Same reports whether two ids are of one type and value (JSON-RPC 2.0,
// section 4: a client has each once).
func Same(a, b []byte) bool {
	if string(a) == string(b) {
		return true
	}
	if len(a) == 0 || len(b) == 0 || (a[0] == '"') != (b[0] == '"') || Plain(a) && Plain(b) {
		return false
	}
	return Key(a) == Key(b)
}

// isInteger reports whether text is an integer as JSON writes it.
func isInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || digits[0] == '0' && text != "0" {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// number is one text for a number that may be written in several ways. One
// that a float does not hold exactly is left as it is.
func number(text string) string {
	if text == "-0" {
		return "0"
	}
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return text
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// Plain reports whether any child gives this id or token back as the same
// value: an integer that every language has room for, or a string with nothing
// that an encoder could write in another way. Others are replaced before a
// child sees them.
func Plain(raw []byte) bool {
	const most = 9 // digits that fit 32 bits
	switch {
	case len(raw) == 0:
		return false
	case raw[0] == '"':
		return plainString(raw)
	case len(raw) > most:
		return false
	case raw[0] == '0':
		return len(raw) == 1
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func plainString(raw []byte) bool {
	if len(raw) > 128 {
		return false
	}
	if isInteger(string(raw[1 : len(raw)-1])) { // "1" may come back as 1
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}
