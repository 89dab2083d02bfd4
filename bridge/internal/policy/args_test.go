package policy

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzArgs holds the decoder of arguments against encoding/json: what it takes,
// both read alike.
func FuzzArgs(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":[true,null,-1.5e3,"\u00e9\ud800"],"c":{"d":{}}}`, ` {"n":9223372036854775808, "z":-0} `, `{"a":1,"\u0061":2}`,
		`{"a":{"b":1,"b":2}}`, `null`, `[]`, `{"a":1}{}`, `{"x":1e999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		args, err := decodeArgs(raw)
		if err != nil || args == nil || len(raw) == 0 {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var want map[string]any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q was taken: %v", raw, err)
		}
		if want == nil {
			want = map[string]any{}
		}
		if plain, _ := numbers(want).(map[string]any); !reflect.DeepEqual(args, plain) {
			t.Errorf("%q: %v, encoding/json reads %v", raw, args, plain)
		}
	})
}

// numbers makes of each json.Number what an expression sees.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	case map[string]any:
		for key, each := range v {
			v[key] = numbers(each)
		}
	case []any:
		for i, each := range v {
			v[i] = numbers(each)
		}
	}
	return v
}
