package rpc

import (
	"bytes"
	"testing"
)

// FuzzRenamed: a message with another name is what reading it anew would give.
func FuzzRenamed(f *testing.F) {
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__x","arguments":{},"_meta":{"progressToken":2}}}`,
		`{"params":{"_meta":{"progressToken":"t"},"name":"","uri":"u"},"id":"i","method":"prompts/get","jsonrpc":"2.0"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":null}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := Parse(line)
		if err != nil {
			return
		}
		for _, name := range []string{`""`, `"a longer name than most"`} {
			got := m.Renamed([]byte(name))
			want, err := Reparse(got.Line)
			if err != nil {
				t.Fatalf("%s: %v", got.Line, err)
			}
			if !bytes.Equal(got.Line, want.Line) || got.id != want.id || got.params != want.params ||
				got.result != want.result || got.fields != want.fields || got.Method != want.Method || got.Kind != want.Kind {
				t.Errorf("%s became %+v, and reads %+v", line, got, want)
			}
		}
	})
}
