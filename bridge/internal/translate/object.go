package translate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"gatehouse/bridge/internal/rpc"
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
	key       []byte
	at, value rpc.Span // of the key with its quotes, and of the value
}

const (
	usualFields = 6    // of a message; more make the list grow
	maxFields   = 4096 // what the bridge takes apart is an envelope, not data
	maxKey      = 512  // bytes
	fewFields   = 16   // are compared with each other; more are looked up
)

// Parse finds the fields of the outermost object of raw, which must be valid
// JSON. It keeps raw and reads it once.
func Parse(raw []byte) (Object, error) {
	p := parsing{o: Object{raw: raw, fields: make([]field, 0, usualFields)}}
	err := rpc.EachMember(raw, p.add)
	if errors.Is(err, rpc.ErrMessage) {
		err = ErrObject
	}
	if err != nil {
		return Object{}, err
	}
	return p.o, nil
}

type parsing struct {
	o    Object
	seen map[string]struct{} // the keys, once there are many
}

func (p *parsing) add(key, value rpc.Span) error {
	switch {
	case len(p.o.fields) == maxFields:
		return fmt.Errorf("%w: it has more than %d of them", ErrObject, maxFields)
	case key.End-key.Start > maxKey:
		return fmt.Errorf("%w: one has %d bytes, at most %d fit", ErrObject, key.End-key.Start, maxKey)
	}
	name, ok := rpc.Unquoted(p.o.raw[key.Start:key.End])
	if !ok {
		return ErrObject
	}
	if p.holds(name) {
		return fmt.Errorf("%w: %q occurs twice", ErrObject, name)
	}
	p.o.fields = append(p.o.fields, field{key: name, at: key, value: value})
	return nil
}

func (p *parsing) holds(key []byte) bool {
	if len(p.o.fields) < fewFields {
		for _, f := range p.o.fields {
			if bytes.Equal(f.key, key) {
				return true
			}
		}
		return false
	}
	if p.seen == nil {
		p.seen = make(map[string]struct{}, 4*fewFields)
		for _, f := range p.o.fields {
			p.seen[string(f.key)] = struct{}{}
		}
	}
	_, twice := p.seen[string(key)]
	p.seen[string(key)] = struct{}{}
	return twice
}

func (o Object) find(key string) int {
	for i, f := range o.fields {
		if string(f.key) == key {
			return i
		}
	}
	return -1
}

// Has reports whether the key is there, whatever its value.
func (o Object) Has(key string) bool { return o.find(key) >= 0 }

// InOtherCase reports whether a key is there that differs in case only: some
// readers take it for the key (Go's encoding/json does).
func (o Object) InOtherCase(key string) bool {
	for _, f := range o.fields {
		if string(f.key) != key && bytes.EqualFold(f.key, []byte(key)) {
			return true
		}
	}
	return false
}

// Get returns the undecoded value, or nil.
func (o Object) Get(key string) json.RawMessage {
	if i := o.find(key); i >= 0 {
		return o.value(i)
	}
	return nil
}

func (o Object) value(i int) json.RawMessage {
	at := o.fields[i].value
	return o.raw[at.Start:at.End:at.End]
}

// Text returns the value where it is a string.
func (o Object) Text(key string) (string, bool) {
	return rpc.Unquote(o.Get(key))
}

// Object returns the value where it is an object; a missing one is empty.
func (o Object) Object(key string) (Object, error) {
	if raw := o.Get(key); raw != nil {
		return Parse(raw)
	}
	return Object{raw: []byte("{}")}, nil
}

// Len is the number of fields.
func (o Object) Len() int { return len(o.fields) }

// Each visits the fields in their order, until an error.
func (o Object) Each(visit func(key string, value json.RawMessage) error) error {
	for i, f := range o.fields {
		if err := visit(string(f.key), o.value(i)); err != nil {
			return err
		}
	}
	return nil
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
	return o.append(make([]byte, 0, o.room(edits)), edits...)
}

// room is how long the object can be with the edits made.
func (o Object) room(edits []Edit) int {
	size := len(o.raw) + 2
	for _, e := range edits {
		size += len(e.Key) + len(e.Value) + 4
	}
	return size
}

// append is With onto what out holds.
func (o Object) append(out []byte, edits ...Edit) []byte {
	out = append(out, '{')
	first := len(out)
	for _, f := range o.fields {
		value := json.RawMessage(o.raw[f.value.Start:f.value.End])
		for _, e := range edits {
			if e.Key == string(f.key) {
				value = e.Value
			}
		}
		if value != nil {
			out = appendField(out, first, o.raw[f.at.Start:f.at.End], value)
		}
	}
	for _, e := range edits {
		if e.Value != nil && !o.Has(e.Key) {
			out = appendField(out, first, quote(e.Key), e.Value)
		}
	}
	return append(out, '}')
}

func appendField(out []byte, first int, key, value []byte) []byte {
	if len(out) > first {
		out = append(out, ',')
	}
	out = append(out, key...)
	out = append(out, ':')
	return append(out, value...)
}

func quote(s string) json.RawMessage {
	if plain(s) {
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	return rpc.Quote(s)
}

// plain reports whether a string is written in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
