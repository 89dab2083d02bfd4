package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

const maxArgDepth = 32

// decodeArgs reads the arguments of a call for an expression: integers as
// int64, other numbers as float64. It is stricter than encoding/json: a name
// twice, bytes that are not UTF-8 or more than maxArgDepth levels are refused,
// because the child could read something else than the policy did.
func decodeArgs(raw []byte) (map[string]any, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return map[string]any{}, nil
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: arguments are not UTF-8", errJSON)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	args, ok := v.(map[string]any)
	if !ok || dec.More() {
		return nil, fmt.Errorf("%w: arguments are not one object", errJSON)
	}
	return args, nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxArgDepth {
		return nil, fmt.Errorf("%w: arguments have more than %d levels", errJSON, maxArgDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return nil, errJSON
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return decodeObject(dec, depth)
		}
		return decodeArray(dec, depth)
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	default:
		return token, nil
	}
}

func decodeObject(dec *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, errJSON
		}
		name, _ := token.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("%w: argument %q stands there twice", errJSON, name)
		}
		if object[name], err = decodeValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token() // the closing brace
	return object, err
}

func decodeArray(dec *json.Decoder, depth int) (any, error) {
	array := []any{}
	for dec.More() {
		v, err := decodeValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	_, err := dec.Token() // the closing bracket
	return array, err
}
