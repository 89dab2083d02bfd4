package translate

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrObject says that bytes are not one JSON object with keys that occur once.
// Two parsers may disagree on which of two equal keys counts, so neither does.
var ErrObject = errors.New("not a JSON object with distinct keys")

// Object is a JSON object whose values have not been decoded.
type Object struct {
	raw    []byte
	fields []field
}

type field struct {
	key        string
	start, end int // of the value in raw
	from       int // of the key's opening quote
}

const usualFields = 6 // of a message; more make the list grow

// Parse finds the fields of the outermost object of raw, which must be valid
// JSON. It keeps raw and reads it once.
func Parse(raw []byte) (Object, error) {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return Object{}, ErrObject
	}
	o := Object{raw: raw, fields: make([]field, 0, usualFields)}
	i = skipSpace(raw, i+1)
	for i < len(raw) && raw[i] == '"' {
		f, next, err := readField(raw, i)
		if err != nil {
			return Object{}, err
		}
		if o.find(f.key) >= 0 {
			return Object{}, fmt.Errorf("%w: %q occurs twice", ErrObject, f.key)
		}
		o.fields = append(o.fields, f)
		i = skipSpace(raw, next)
		if i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	if i >= len(raw) || raw[i] != '}' || skipSpace(raw, i+1) != len(raw) {
		return Object{}, ErrObject
	}
	return o, nil
}

func readField(raw []byte, i int) (field, int, error) {
	keyEnd := skipString(raw, i)
	if keyEnd < 0 {
		return field{}, 0, ErrObject
	}
	key, ok := unquote(raw[i:keyEnd])
	if !ok {
		return field{}, 0, ErrObject
	}
	colon := skipSpace(raw, keyEnd)
	if colon >= len(raw) || raw[colon] != ':' {
		return field{}, 0, ErrObject
	}
	start := skipSpace(raw, colon+1)
	end := skipValue(raw, start)
	if end <= start {
		return field{}, 0, ErrObject
	}
	return field{key: key, start: start, end: end, from: i}, end, nil
}

func (o Object) find(key string) int {
	for i, f := range o.fields {
		if f.key == key {
			return i
		}
	}
	return -1
}

// Has reports whether the key is there, whatever its value.
func (o Object) Has(key string) bool { return o.find(key) >= 0 }

// Get returns the undecoded value, or nil.
func (o Object) Get(key string) json.RawMessage {
	if i := o.find(key); i >= 0 {
		return o.raw[o.fields[i].start:o.fields[i].end:o.fields[i].end]
	}
	return nil
}

// Text returns the value where it is a string.
func (o Object) Text(key string) (string, bool) {
	raw := o.Get(key)
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return unquote(raw)
}

// unquote decodes a string; most are plain and need no decoder.
func unquote(raw []byte) (string, bool) {
	for _, c := range raw {
		if c < ' ' || c == '\\' || c >= 0x80 {
			var s string
			err := json.Unmarshal(raw, &s)
			return s, err == nil
		}
	}
	return string(raw[1 : len(raw)-1]), true
}

// Object returns the value where it is an object; a missing one is empty.
func (o Object) Object(key string) (Object, error) {
	if raw := o.Get(key); raw != nil {
		return Parse(raw)
	}
	return Object{raw: []byte("{}")}, nil
}

// Keys lists the keys in their order.
func (o Object) Keys() []string {
	keys := make([]string, len(o.fields))
	for i, f := range o.fields {
		keys[i] = f.key
	}
	return keys
}

// Raw returns the bytes of the whole object.
func (o Object) Raw() json.RawMessage { return o.raw }

// Edit is one change to an object: a value for a key, or its removal (nil).
type Edit struct {
	Key   string
	Value json.RawMessage
}

// With returns the object with the edits made and every other byte kept in
// its order: a key that is there keeps its place, a new one is put last.
func (o Object) With(edits ...Edit) json.RawMessage {
	size := len(o.raw) + 2
	for _, e := range edits {
		size += len(e.Key) + len(e.Value) + 4
	}
	out := append(make([]byte, 0, size), '{')
	for _, f := range o.fields {
		value := json.RawMessage(o.raw[f.start:f.end])
		for _, e := range edits {
			if e.Key == f.key {
				value = e.Value
			}
		}
		if value != nil {
			out = appendField(out, o.raw[f.from:skipString(o.raw, f.from)], value)
		}
	}
	for _, e := range edits {
		if e.Value != nil && !o.Has(e.Key) {
			out = appendField(out, quote(e.Key), e.Value)
		}
	}
	return append(out, '}')
}

func appendField(out, key, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(out, key...)
	out = append(out, ':')
	return append(out, value...)
}

func quote(s string) json.RawMessage {
	raw, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`) // a string always marshals
	}
	return raw
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the closing quote, or -1.
func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue returns the index after the value that starts at i, or -1. It
// counts brackets and does not check what lies between them.
func skipValue(raw []byte, i int) int {
	depth := 0
	for i >= 0 && i < len(raw) {
		switch raw[i] {
		case '"':
			if i = skipString(raw, i); depth == 0 || i < 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	if depth == 0 {
		return i
	}
	return -1
}
