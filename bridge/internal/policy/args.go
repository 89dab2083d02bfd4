package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/bridge/internal/rpc"
)

const maxArgDepth = 32

// decodeArgs reads the arguments of a call for an expression: integers as
// int64, other numbers as float64. It is stricter than encoding/json: a name
// twice (in whatever case: Go's own decoder takes one for the other), bytes that
// are not UTF-8 or more than maxArgDepth levels are refused, because the child
// could read something else than the policy did.
func decodeArgs(raw []byte) (map[string]any, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return map[string]any{}, nil
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: arguments are not UTF-8", errJSON)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%w: arguments are not one object", errJSON)
	}
	v, err := decodeValue(bytes.TrimSpace(raw), 0)
	if err != nil {
		return nil, err
	}
	args, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: arguments are not one object", errJSON)
	}
	return args, nil
}

// decodeValue decodes valid JSON without space around it.
func decodeValue(raw []byte, depth int) (any, error) {
	if depth > maxArgDepth {
		return nil, fmt.Errorf("%w: arguments have more than %d levels", errJSON, maxArgDepth)
	}
	switch raw[0] {
	case '{':
		return decodeObject(raw, depth)
	case '[':
		return decodeArray(raw, depth)
	case '"':
		return unquote(raw)
	case 't', 'f':
		return raw[0] == 't', nil
	case 'n':
		return nil, nil
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, nil
	}
	return strconv.ParseFloat(string(raw), 64)
}

func decodeObject(raw []byte, depth int) (any, error) {
	object := map[string]any{}
	err := rpc.EachMember(raw, func(key, value rpc.Span) error {
		name, err := unquote(raw[key.Start:key.End])
		if err != nil {
			return err
		}
		if _, twice := object[name]; twice {
			return fmt.Errorf("%w: argument %q stands there twice", errJSON, name)
		}
		object[name], err = decodeValue(raw[value.Start:value.End], depth+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object, oneCase(object)
}

// oneCase refuses two names that differ in case only. Most names are lower
// case and cost nothing.
func oneCase(object map[string]any) error {
	var folded map[string]bool
	for name := range object {
		lower := strings.ToLower(strings.ToUpper(name)) // both: some letters have one way only
		if lower == name {
			continue
		}
		if _, twice := object[lower]; twice || folded[lower] {
			return fmt.Errorf("%w: argument %q stands there in other case too", errJSON, name)
		}
		if folded == nil {
			folded = map[string]bool{}
		}
		folded[lower] = true
	}
	return nil
}

func decodeArray(raw []byte, depth int) (any, error) {
	array := []any{}
	err := rpc.EachItem(raw, func(at rpc.Span) error {
		v, err := decodeValue(raw[at.Start:at.End], depth+1)
		array = append(array, v)
		return err
	})
	return array, err
}
