package rpc_test

import (
	"encoding/json"
	"testing"

	"gatehouse/bridge/internal/rpc"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"

func TestTraceIsPutWhereItBelongs(t *testing.T) {
	head, p := `{"jsonrpc":"2.0","id":1,"method":"x"`, `"traceparent":"`+parent+`"`
	cases := map[string]struct{ in, parent, state, want string }{
		"no params": {head + `}`, "", "", head + `,"params":{"_meta":{` + p + `,"tracestate":"a=b"}}}`},
		"empty params": {
			head + `,"params":{ }}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `,"tracestate":"a=b"} }}`,
		},
		"no _meta": {
			head + `,"params":{"name":"a"}}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `,"tracestate":"a=b"},"name":"a"}}`,
		},
		"empty _meta": {
			head + `,"params":{"_meta":{}}}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `,"tracestate":"a=b"}}}`,
		},
		"others in it": {
			head + `,"params":{"_meta":{"progressToken":7}}}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `,"tracestate":"a=b","progressToken":7}}}`,
		},
		"the client's": {
			head + `,"params":{"_meta":{"x":{"traceparent":1},"traceparent":"old","tracestate":"c=d"}}}`,
			"old",
			"c=d",
			head + `,"params":{"_meta":{"x":{"traceparent":1},` + p + `,"tracestate":"c=d"}}}`,
		},
		"a state alone": {
			head + `,"params":{"_meta":{"tracestate":"c=d"}}}`,
			"",
			"c=d",
			head + `,"params":{"_meta":{` + p + `,"tracestate":"c=d"}}}`,
		},
		"an empty state": {
			head + `,"params":{"_meta":{"tracestate":""}}}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `,"tracestate":""}}}`,
		},
		"a state that is none": {
			head + `,"params":{"_meta":{"tracestate":7}}}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `,"tracestate":7}}}`,
		},
		"not a string": {
			head + `,"params":{"_meta":{"traceparent":[7]}}}`,
			"",
			"",
			head + `,"params":{"_meta":{` + p + `}}}`,
		},
		"_meta no map":   {head + `,"params":{"_meta":7}}`, "", "", ""},
		"positional":     {head + `,"params":[1]}`, "", "", ""},
		"there twice":    {head + `,"params":{"_meta":{"traceparent":"a","traceparent":"b"}}}`, "", "", ""},
		"in other case":  {head + `,"params":{"_meta":{"Traceparent":"a"}}}`, "", "", ""},
		"a notification": {`{"jsonrpc":"2.0","method":"x"}`, "", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m, err := rpc.Parse([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			trace, ok := m.Trace()
			if !ok {
				if tc.want != "" {
					t.Fatal("no place found")
				}
				return
			}
			if trace.Parent != tc.parent || trace.State != tc.state {
				t.Errorf("read %q and %q", trace.Parent, trace.State)
			}
			if got := string(rpc.AppendEdited(nil, m.Line, trace.With(parent, "a=b"))); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// FuzzTrace: whatever comes in, what goes out is valid JSON that carries the
// context and, beside it, all that came in.
func FuzzTrace(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"x"}`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"progressToken":"}"},"a":1}}`,
		`{"params":{"_meta" : { "traceparent" : "y" }},"jsonrpc":"2.0","id":"\"","method":"x" }`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := rpc.ParseClient(body)
		if err != nil {
			return
		}
		trace, ok := m.Trace()
		if !ok {
			return
		}
		out := rpc.AppendEdited(nil, m.Line, trace.With(parent, "k=v"))
		var read struct {
			ID     json.RawMessage
			Params struct {
				Meta map[string]any `json:"_meta"`
			}
		}
		if err := json.Unmarshal(out, &read); err != nil {
			t.Fatalf("%s became %s: %v", body, out, err)
		}
		if read.Params.Meta["traceparent"] != parent {
			t.Errorf("%s became %s", body, out)
		}
		if _, err := rpc.Parse(out); err != nil {
			t.Errorf("%s became %s: %v", body, out, err)
		}
	})
}
