package rpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/test/work"
)

func TestParseKeepsIDsByteForByte(t *testing.T) {
	for _, id := range []string{`1`, `"a"`, `"\u0041"`, `12345678901234567890`, `1.50`, `-0`} {
		m, err := rpc.Parse([]byte(`{"jsonrpc":"2.0", "id" : ` + id + ` ,"method":"ping"}`))
		if err != nil || string(m.ID()) != id || m.Kind != rpc.Request {
			t.Errorf("id %s: %s, %v", id, m.ID(), err)
		}
	}
}

func TestParseRefusesWhatTwoParsersReadInTwoWays(t *testing.T) {
	for name, line := range map[string]string{
		"id twice":       `{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}`,
		"method in case": `{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}`,
		"escaped key":    `{"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"}`,
		"name twice":     `{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"x","name":"y"}}`,
		"name in case":   `{"jsonrpc":"2.0","id":1,"method":"a","params":{"Name":"x"}}`,
		"two messages":   `{"jsonrpc":"2.0","id":1,"method":"a"}{}`,
		"no version":     `{"id":1,"method":"a"}`,
		"null id":        `{"jsonrpc":"2.0","id":null,"method":"a"}`,
		"result, error":  `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`,
		"method, result": `{"jsonrpc":"2.0","id":1,"method":"a","result":{}}`,
	} {
		if _, err := rpc.ParseClient([]byte(line)); !errors.Is(err, rpc.ErrMessage) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestParseFindsWhatRoutes(t *testing.T) {
	m, err := rpc.ParseClient(
		[]byte(
			"{\"jsonrpc\":\"2.0\",\r\n\"id\":1,\"method\":\"tools/call\",\"params\":{\"arguments\":{\"name\":\"no\"},\"name\":\"add\",\"_meta\":{\"progressToken\":\"t\"}}}\n",
		),
	)
	if err != nil || m.Name() != "add" || string(m.Token()) != `"t"` {
		t.Errorf("name %q, token %s, err %v", m.Name(), m.Token(), err)
	}
	if bytes.ContainsAny(m.Line, "\r\n") {
		t.Error("a line break is left in the line")
	}
}

func TestAppendEditedChangesOnlyThePlaces(t *testing.T) {
	m, _ := rpc.Parse([]byte(`{"params":{"_meta":{"progressToken":7}},"id":"x","method":"a","jsonrpc":"2.0","more":[1]}`))
	got := rpc.AppendEdited(
		nil, m.Line, rpc.Edit{At: m.IDSpan(), With: []byte("12")}, rpc.Edit{At: m.TokenSpan(), With: []byte("13")},
	)
	if want := `{"params":{"_meta":{"progressToken":13}},"id":12,"method":"a","jsonrpc":"2.0","more":[1]}`; string(
		got,
	) != want {
		t.Errorf("got %s", got)
	}
}

// TestLinesOfAllLengths come whole and in order, whatever buffer they are read
// with, and however much of them comes at once.
func TestLinesOfAllLengths(t *testing.T) {
	var text strings.Builder
	lengths := []int{0, 1, 4095, 4096, 4097, 3, 65535, 65536, 65537, 200_000, 7, 8191, 8192, 70_000, 5}
	for i, n := range lengths {
		text.WriteString(strings.Repeat(string(rune('a'+i)), n) + "\n")
	}
	for name, r := range map[string]io.Reader{
		"at once":           strings.NewReader(text.String()),
		"byte by byte":      iotest.OneByteReader(strings.NewReader(text.String())),
		"half of each read": iotest.HalfReader(strings.NewReader(text.String())),
	} {
		l := rpc.NewLines(r, 1<<20)
		for i, n := range lengths {
			line, err := l.Next()
			if err != nil || string(line) != strings.Repeat(string(rune('a'+i)), n) {
				t.Fatalf("%s: line %d has %d bytes, %v", name, i, len(line), err)
			}
		}
		if _, err := l.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end %v", name, err)
		}
	}
}

// TestManyReadersAreLight: each is one child that is silent now.
func TestManyReadersAreLight(t *testing.T) {
	const readers = 1000
	text := strings.Repeat("x", 100_000) + "\nshort\n"
	before := heapInUse()
	all := make([]*rpc.Lines, readers)
	for i := range all {
		all[i] = rpc.NewLines(strings.NewReader(text), 1<<20)
		for range 2 {
			if _, err := all[i].Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if each := (heapInUse() - before) / readers; each > 6<<10 {
		t.Errorf("a reader holds %d bytes after a long line", each)
	}
	runtime.KeepAlive(all)
}

func heapInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestLinesAreBoundedAndLinear: a line of 10 MB costs what ten of 1 MB cost. Work
// that grows faster than the line would show ten times as much.
func TestLinesAreBoundedAndLinear(t *testing.T) {
	big := strings.Repeat("x", 10<<20)
	cost := func(parts int) time.Duration {
		part := big[:len(big)/parts]
		return work.Of(func() {
			for range parts {
				l := rpc.NewLines(strings.NewReader("a\r\n"+part+"\nlast"), 16<<20)
				for _, want := range []int{1, len(part)} {
					if line, err := l.Next(); err != nil || len(line) != want {
						t.Fatalf("a line of %d bytes, want %d, %v", len(line), want, err)
					}
				}
				if _, err := l.Next(); !errors.Is(err, io.EOF) {
					t.Errorf("a line without an end: err = %v", err)
				}
			}
		})
	}
	whole, parts := time.Hour, time.Hour
	for range 3 { // what else runs on the machine only adds
		whole, parts = min(whole, cost(1)), min(parts, cost(10))
	}
	if whole > 5*parts {
		t.Errorf("one line of 10 MB cost %s, ten of 1 MB %s", whole, parts)
	}
	if _, err := rpc.NewLines(strings.NewReader(big), 1<<20).Next(); !errors.Is(err, rpc.ErrLineTooLong) {
		t.Errorf("past the bound: err = %v", err)
	}
}

func TestSplitIsBounded(t *testing.T) {
	if parts, batch, err := rpc.Split([]byte(` [{"a":[1]}, {} ]`), 2); err != nil || !batch || len(parts) != 2 {
		t.Errorf("parts %q, %v, %v", parts, batch, err)
	}
	if _, _, err := rpc.Split([]byte(`[1,2,3]`), 2); !errors.Is(err, rpc.ErrMessage) {
		t.Errorf("three of two: err = %v", err)
	}
}

func FuzzParseClient(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":1}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"\"","result":{"a":"\\"}}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := rpc.ParseClient(body)
		if err != nil {
			return
		}
		var want struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		if err := json.Unmarshal(m.Line, &want); err != nil {
			t.Fatalf("accepted what is no message: %v", err)
		}
		if want.Method != m.Method || m.Kind != rpc.Notification && !bytes.Equal(want.ID, m.ID()) {
			t.Errorf("read %s %q, another parser %s %q", m.ID(), m.Method, want.ID, want.Method)
		}
		edited := rpc.AppendEdited(
			nil, m.Line, rpc.Edit{At: m.IDSpan(), With: []byte("9")}, rpc.Edit{At: m.TokenSpan(), With: []byte("8")},
		)
		if !json.Valid(edited) || bytes.ContainsAny(edited, "\r\n") {
			t.Errorf("editing broke it: %q", edited)
		}
	})
}

// FuzzUnquote: a string says what encoding/json reads in it.
func FuzzUnquote(f *testing.F) {
	for _, s := range []string{`"a"`, `"\u0041\ud83d\ude00\ud83d"`, `"\n\/"`, "\"\xff\x80a\"", `"\x"`, `"\\`, `1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want string
		ok := json.Unmarshal(raw, &want) == nil && len(raw) > 0 && raw[0] == '"' && raw[len(raw)-1] == '"'
		if got, is := rpc.Unquote(raw); is && got != want || ok != is && ok {
			t.Errorf("%q says %q, %v; want %q, %v", raw, got, is, want, ok)
		}
	})
}

// FuzzValid: what is valid for us is so for encoding/json, and the other way
// round.
func FuzzValid(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+7,true,false,null,"\u00e9\\"],"":{}}`, `[[],[{}]]`, `{"a":NaN}`, `{"a":1}]`, `[1,]`, `{,}`,
		`01`, `-`, `1.`, `1e`, `"\x"`, "\"\x01\"", `{"a" 1}`, `tru`, ` 1 `, ``, `"12345678\"90\""`, `{"a":{]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := rpc.Valid(b), json.Valid(b); got != want {
			t.Errorf("%q: valid %v, want %v", b, got, want)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\n\nb\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := rpc.NewLines(bytes.NewReader(data), 64)
		for {
			line, err := l.Next()
			if err != nil {
				return
			}
			if len(line) > 64 || bytes.ContainsAny(line, "\r\n") {
				t.Errorf("line %q", line)
			}
			_, _ = rpc.Parse(line)
			_, _, _ = rpc.Split(line, 4)
		}
	})
}

// TestWhatStandsInMeta is found however it is written, and once.
func TestWhatStandsInMeta(t *testing.T) {
	const head = `{"jsonrpc":"2.0","id":1,"method":"x","params":{`
	for line, want := range map[string]string{
		head + `"_meta":{"progressToken":7}}}`:                                      "7",
		head + "\"_meta\" :\t{ \"progressToken\" : 7 } } }":                         "7",
		head + `"a":1,"_meta":{"b":{"progressToken":8},"progressToken":7},"c":{}}}`: "7",
		head + `"_meta":[{"progressToken":7}]}}`:                                    "",
		head + `"x":{"_meta":{"progressToken":7}}}}`:                                "",
		head + `"_meta":null}}`:                                                     "",
	} {
		m, err := rpc.Parse([]byte(line))
		if err != nil || string(m.Token()) != want {
			t.Errorf("%s: token %q, %v; want %q", line, m.Token(), err, want)
		}
	}
	for _, twice := range []string{
		`"_meta":{"progressToken":7},"_meta":{}`, `"_meta":{"progressToken":7,"progressToken":7}`,
		`"_meta":{"ProgressToken":7}`, `"_META":{}`, `"_meta":{"progress\u0054oken":7}`,
	} {
		if _, err := rpc.Parse([]byte(head + twice + "}}")); err == nil {
			t.Errorf("%s is taken", twice)
		}
	}
}

// TestParseAllocatesNothing: every message of either side is parsed once, and
// all that is noted of it stays on the stack.
func TestParseAllocatesNothing(t *testing.T) {
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":1},"arguments":{}}}`,
		`{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"hello"}]}}`,
	} {
		body := []byte(line)
		n := testing.AllocsPerRun(100, func() {
			if _, err := rpc.ParseClient(body); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%v allocations for %s", n, line)
		}
	}
}
