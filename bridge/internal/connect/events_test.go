package connect

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gatehouse/bridge/internal/rpc"
)

func all(r io.Reader, max int) (list []event, err error) {
	s := newEvents(r, max)
	for {
		e, err := s.next()
		if err != nil {
			return list, err
		}
		list = append(list, e)
	}
}

func TestEvents(t *testing.T) {
	for text, want := range map[string][]event{
		"data: a\n\n":                           {{data: []byte("a")}},
		"\xef\xbb\xbfdata:a\r\ndata: b\r\n\r\n": {{data: []byte("a\nb")}},
		"event: x\rid: 7\rdata:  c\r\r":         {{name: "x", id: "7", hasID: true, data: []byte(" c")}},
		": comment\n\nid: 1\nretry: 500\n\n":    {{id: "1", hasID: true, retry: 500 * time.Millisecond}},
		"id: a\x00b\nretry: x\nevent: y\n\n":    nil,
		"data\n\n":                              {{data: []byte{}}},
		"data: not ended\n":                     nil,
	} {
		got, err := all(strings.NewReader(text), 100)
		if !reflect.DeepEqual(got, want) || !errors.Is(err, io.EOF) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := all(strings.NewReader("data: "+strings.Repeat("x", 200)+"\n\n"), 100); !errors.Is(err, errEventTooLong) {
		t.Errorf("a long line: %v", err)
	}
	if _, err := all(strings.NewReader(strings.Repeat("data: xxxx\n", 50)), 100); !errors.Is(err, errEventTooLong) {
		t.Errorf("many lines: %v", err)
	}
}

// FuzzEvents: however the bytes come, the same events are read, and no more
// than there are bytes.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: a\r\ndata: {}\rid: 1\n\ndata\n\nretry: 5\r\n\r\n"))
	f.Add([]byte("\xef\xbb\xbf:\n\r\r\n\ndata:\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole, err := all(bytes.NewReader(raw), 1<<16)
		pieces, other := all(iotest.OneByteReader(bytes.NewReader(raw)), 1<<16)
		if !reflect.DeepEqual(whole, pieces) || (err == nil) != (other == nil) {
			t.Fatalf("%+v in one, %+v in pieces", whole, pieces)
		}
		total := 0
		for _, e := range whole {
			total += len(e.data)
			if bytes.ContainsAny(e.data, "\r") {
				t.Fatalf("a line end in %q", e.data)
			}
		}
		if total > len(raw) {
			t.Fatalf("%d bytes of %d", total, len(raw))
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"3": 3 * time.Second, "0": 0, "": time.Minute, "-1": time.Minute, "soon": time.Minute,
		"Sun, 29 Nov 2026 12:00:07 GMT": 7 * time.Second, "Sun, 29 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, time.Minute, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestAnnotationsOfASchema(t *testing.T) {
	for schema, valid := range map[string]bool{
		`{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}`:                                          true,
		`{"properties":{"o":{"type":"object","properties":{"a":{"type":"integer","x-mcp-header":"A"}}}}}`:    true,
		`{"properties":{"x-mcp-header":{"type":"string"}}}`:                                                  true,
		`{"properties":{"a":{"type":"string","default":{"x-mcp-header":"no"}}}}`:                             true,
		`{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}`:                                          false,
		`{"properties":{"a":{"type":["string"],"x-mcp-header":"A"}}}`:                                        false,
		`{"properties":{"a":{"type":"string","x-mcp-header":""}}}`:                                           false,
		`{"properties":{"a":{"type":"string","x-mcp-header":7}}}`:                                            false,
		`{"properties":{"a":{"type":"string","x-mcp-header":"A\r\nB"}}}`:                                     false,
		`{"properties":{"l":{"items":{"type":"string","x-mcp-header":"A"}}}}`:                                false,
		`{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}`:                              false,
		`{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}`: false,
		strings.Repeat(`{"properties":{"a":`, 40) + `{"x-mcp-header":"A"}` + strings.Repeat(`}}`, 40):        false,
		`{"type":"string","x-mcp-header":"A"}`:                                                               false,
	} {
		if _, ok := readAnnotations([]byte(schema)); ok != valid {
			t.Errorf("%.120s: valid = %v", schema, ok)
		}
	}
}

// FuzzTools: a list of tools can be read or not; what is left of it is a
// message, and every header that a call then gets can be sent.
func FuzzTools(f *testing.F) {
	f.Add(
		[]byte(`{"name":"t","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}`),
		[]byte(`{"a":"b\r\nc"}`),
	)
	f.Add(
		[]byte(`{"name":"t","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}`),
		[]byte(`{"a":1e5}`),
	)
	f.Fuzz(func(t *testing.T, tool, arguments []byte) {
		m, err := rpc.Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":[` + string(tool) + `]}}`))
		call, bad := rpc.Parse(
			[]byte(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":` + string(arguments) + `}}`),
		)
		if err != nil || bad != nil {
			return
		}
		var tools toolHeaders
		if line := tools.learn(&m, func(string) {}); line != nil {
			if _, err := rpc.Parse(line); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		h := http.Header{}
		tools.mirror(h, &call)
		for name, values := range h {
			if !isToken(name) || strings.ContainsFunc(values[0], func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Fatalf("%q: %q", name, values)
			}
		}
	})
}
