package policy

import (
	"errors"
	"fmt"
	"strings"

	"gatehouse/bridge/internal/rpc"
)

var errJSON = errors.New("not the JSON that was expected")

// member is one name and value of a JSON object, as they stand in the text.
type member struct {
	name  string
	value []byte
	start int // of the value in the object's text
}

// eachMember calls visit for the members of an object in order. raw must be
// valid JSON: values are skipped, not checked.
func eachMember(raw []byte, visit func(member) error) error {
	return rpc.EachMember(raw, func(key, value rpc.Span) error {
		name, ok := rpc.Unquote(raw[key.Start:key.End])
		if !ok {
			return errJSON
		}
		return visit(member{name: name, value: raw[value.Start:value.End], start: value.Start})
	})
}

// pick returns the members of an object that names lists, in that order; a
// missing one is nil. A name that stands there twice, or once more in other
// case, is refused: two parsers could read two different calls.
func pick(raw []byte, names ...string) ([]member, error) {
	found := make([]member, len(names))
	err := eachMember(raw, func(m member) error {
		for i, name := range names {
			if m.name != name && !strings.EqualFold(m.name, name) {
				continue
			}
			if m.name != name || found[i].value != nil {
				return fmt.Errorf("%w: %q stands there twice or in other case", errJSON, name)
			}
			found[i] = m
		}
		return nil
	})
	return found, err
}

// eachItem calls visit with the start and end of every item of an array.
func eachItem(raw []byte, visit func(start, end int)) error {
	return rpc.EachItem(raw, func(at rpc.Span) error {
		visit(at.Start, at.End)
		return nil
	})
}

// unquote decodes a JSON string and refuses anything else.
func unquote(raw []byte) (string, error) {
	s, ok := rpc.Unquote(raw)
	if !ok {
		return "", errJSON
	}
	return s, nil
}
