package policy

import (
	"errors"
	"fmt"

	"gatehouse/bridge/internal/rpc"
)

var errJSON = errors.New("not the JSON that was expected")

// member is the value of one member of a JSON object, as it stands in the text.
type member struct {
	value []byte
	start int // of the value in the object's text
}

const maxPicked = 3 // names that a pick may list: room that is not allocated

// pick returns the members of an object that names lists, in that order; a
// missing one is nil. A name that stands there twice, or once more in other
// case, is refused: two parsers could read two different calls. raw must be
// valid JSON: values are skipped, not checked.
func pick(raw []byte, names ...string) (found [maxPicked]member, err error) {
	err = rpc.EachMember(raw, func(key, value rpc.Span) error {
		for i, name := range names {
			like, exact := rpc.Like(raw[key.Start:key.End], name)
			switch {
			case !like:
				continue
			case !exact || found[i].value != nil:
				return fmt.Errorf("%w: %q stands there twice or in other case", errJSON, name)
			}
			found[i] = member{value: raw[value.Start:value.End], start: value.Start}
			break
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
