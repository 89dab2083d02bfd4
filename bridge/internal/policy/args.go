package policy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/bridge/internal/rpc"
)

const (
	maxArgDepth = 32
	maxArgs     = 64 << 10 // values in all
	maxNumber   = 1 << 10  // bytes
)

// decodeArgs reads the arguments of a call, which are valid JSON, for an
// expression: integers as
// int64, other numbers as float64. It is stricter than encoding/json: a name
// twice (in whatever case: Go's own decoder takes one for the other), bytes that
// are not UTF-8, more than maxArgDepth levels or maxArgs values are refused,
// because the child could read something else than the policy did, or because
// to read them would cost more than they are worth.
func decodeArgs(raw []byte) (map[string]any, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return map[string]any{}, nil
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: arguments are not UTF-8", errJSON)
	}
	d := decoder{r: rpc.NewReader(raw)}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	args, ok := v.(map[string]any)
	if !ok || d.r.Kind() != 0 {
		return nil, fmt.Errorf("%w: arguments are not one object", errJSON)
	}
	return args, nil
}

type decoder struct {
	r      *rpc.Reader
	values int
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxArgDepth {
		return nil, fmt.Errorf("%w: arguments have more than %d levels", errJSON, maxArgDepth)
	}
	if d.values++; d.values > maxArgs {
		return nil, fmt.Errorf("%w: arguments have more than %d values", errJSON, maxArgs)
	}
	switch kind := d.r.Kind(); kind {
	case '{':
		return d.object(depth)
	case '[':
		return d.array(depth)
	}
	raw, err := d.r.Value()
	if err != nil {
		return nil, err
	}
	switch raw[0] {
	case '"':
		return unquote(raw)
	case 't', 'f':
		return raw[0] == 't', nil
	case 'n':
		return nil, nil
	}
	if len(raw) > maxNumber {
		return nil, fmt.Errorf("%w: a number has more than %d bytes", errJSON, maxNumber)
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, nil
	}
	return strconv.ParseFloat(string(raw), 64)
}

func (d *decoder) object(depth int) (any, error) {
	object := map[string]any{}
	err := d.r.Object(func(key []byte) error {
		name, err := unquote(key)
		if err != nil {
			return err
		}
		if _, twice := object[name]; twice {
			return fmt.Errorf("%w: argument %q stands there twice", errJSON, name)
		}
		object[name], err = d.value(depth + 1)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object, oneCase(object)
}

func (d *decoder) array(depth int) (any, error) {
	array := []any{}
	err := d.r.Array(func() error {
		v, err := d.value(depth + 1)
		array = append(array, v)
		return err
	})
	return array, err
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
