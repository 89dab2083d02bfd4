package mux

import (
	"strings"
	"testing"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// answered is what the client is told of its call with the id, where the child
// says the line.
func answered(t *testing.T, id, line string) string {
	t.Helper()
	c, _, l, q := onPaper(t)
	if _, err := asks(t, l, q, id); err != nil {
		t.Fatal(err)
	}
	c.hear([]byte(line))
	e, _, _ := q.Pop()
	return string(e.Bytes())
}

// TestAnAnswerIsFoundByTheValueOfItsID, and comes back under the bytes that the
// client sent.
func TestAnAnswerIsFoundByTheValueOfItsID(t *testing.T) {
	for id, forms := range map[string][]string{
		`1`:   {`1`, `"1"`, `1.0`, `1e0`, `10E-1`},
		`"a"`: {`"a"`, `"\u0061"`},
		`0`:   {`-0`, `"0"`},
	} {
		for _, form := range forms {
			want := `{"jsonrpc":"2.0","id":` + id + `,"result":{}}`
			if got := answered(t, id, `{"jsonrpc":"2.0","id":`+form+`,"result":{}}`); got != want {
				t.Errorf("%s answered as %s: the client is told %q", id, form, got)
			}
		}
	}
}

// TestNullsAreWhatIsNotThere: programs write every member that they know.
func TestNullsAreWhatIsNotThere(t *testing.T) {
	want := `{"jsonrpc":"2.0","id":1,"result":{}}`
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{},"error":null}`,
		`{"jsonrpc":"2.0","method":null,"id":1,"params":null,"result":{},"error":null}`,
		"\xef\xbb\xbf" + want,
	} {
		got := answered(t, "1", line)
		if !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,`) || !strings.HasSuffix(got, `"result":{}}`) {
			t.Errorf("%s: the client is told %q", line, got)
		}
	}
	got := answered(t, "1", `{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":"m"}}`)
	if !strings.Contains(got, `"error":{"code":1`) || strings.Contains(got, "result") {
		t.Errorf("an error: %s", got)
	}
}

// TestALineWithoutUseEndsTheCallThatItNames at once, and no byte of it is told.
func TestALineWithoutUseEndsTheCallThatItNames(t *testing.T) {
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}`,
		`{"jsonrpc":"2.0","id":"1","result":{"x":1}}]`,
		`{"jsonrpc":"2.0","id":1,"result":{"x":[1}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"x":"` + "\x01" + `"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"x":`,
		`{"id":1,"result":{}}`,
		`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`,
		`[{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}]`,
	} {
		got := answered(t, "1", line)
		if !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,`) || !rpc.Valid([]byte(got)) {
			t.Errorf("%s: the client is told %q", line, got)
		}
	}
	for _, line := range []string{`{"jsonrpc":"2.0","id":1,"method":"x","params":{"x":NaN}}`,
		`garbage with "id":1`, `{"id":2,"result":NaN}`} {
		if got := answered(t, "1", line); got != "" {
			t.Errorf("%s: the client is told %q", line, got)
		}
	}
}

func TestAnAnswerThatNobodyAskedForIsCounted(t *testing.T) {
	c, _, l, q := onPaper(t)
	call, err := asks(t, l, q, "1")
	if err != nil {
		t.Fatal(err)
	}
	c.hear([]byte(`{"jsonrpc":"2.0","id":2,"result":{}}`))
	call.Cancel("gone")
	c.hear([]byte(`{"jsonrpc":"2.0","id":"1","result":{}}`)) // late, as is to be expected
	if n := c.o.Stats.Dropped.Load(); n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
}

// TestWhatAChildIsToldIsEasy: an id or a token that it could give back as
// another is an integer of few digits there, and the client's own here.
func TestWhatAChildIsToldIsEasy(t *testing.T) {
	for _, id := range []string{`12345678901234567890`, `1764416400000`, `1.50`, `"1"`, `"\u0041\""`} {
		c, child, l, q := onPaper(t)
		m, err := rpc.ParseClient([]byte(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call",` +
			`"params":{"name":"x","_meta":{"progressToken":` + id + `}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Call(t.Context(), &m, q); err != nil {
			t.Fatal(err)
		}
		told, err := rpc.Parse([]byte(child.lines[0]))
		if err != nil || len(told.ID()) > 9 || told.ID()[0] == '"' || len(told.Token()) > 9 || told.Token()[0] == '"' {
			t.Fatalf("%s: the child is told %s", id, child.lines[0])
		}
		c.hear([]byte(`{"jsonrpc":"2.0","method":"notifications/progress",` +
			`"params":{"progressToken":"` + string(told.Token()) + `"}}`))
		if e, _, _ := q.Pop(); string(tokenOf(e)) != id {
			t.Errorf("progress of %s came as %s", id, e.Bytes())
		}
	}
}

func tokenOf(e event.Event) []byte {
	m, err := rpc.Parse(e.Bytes())
	if err != nil {
		return nil
	}
	return m.Token()
}
