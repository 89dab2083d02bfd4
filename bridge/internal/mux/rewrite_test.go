package mux

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// alone is a Conn whose child is a paper that takes what it is told.
func alone(shared bool) *Conn {
	c := bare(Options{Shared: shared, Bounds: DefaultBounds(), Stats: &Stats{}, Spoke: func() {}})
	c.proc = &paper{}
	return c
}

// FuzzRewriting: two clients use the same id and the same token; the child sees
// two of each, and what it answers comes back to each as the bytes it sent.
func FuzzRewriting(f *testing.F) {
	for _, id := range []string{`1`, `"a"`, `1.50`, `-0`, `12345678901234567890`, `"\u0041\"\\"`, `"gh-1"`, `"1"`, `2`} {
		f.Add([]byte(id), []byte(`"t"`), true)
		f.Add([]byte(id), []byte(id), false)
	}
	f.Fuzz(func(t *testing.T, id, token []byte, shared bool) {
		line := slices.Concat([]byte(`{"id":`), id, []byte(`,"jsonrpc":"2.0","method":"tools/call",`+
			`"params":{"x":[1e3],"_meta":{"progressToken":`), token, []byte(`}}}`))
		if _, err := rpc.ParseClient(bytes.Clone(line)); err != nil {
			return
		}
		c := alone(shared)
		keys := map[string]bool{}
		for range 2 {
			m, _ := rpc.ParseClient(bytes.Clone(line))
			if string(m.Token()) == "" {
				return
			}
			q := event.NewQueue(1 << 20)
			l := &Link{conn: c, standing: q}
			c.links[l] = struct{}{}
			call := &Call{Method: m.Method, link: l, sink: q, id: m.ID(), token: m.Token(), life: time.Minute}
			c.assign(call)
			l.calls = append(l.calls, call)
			if keys[call.key] || keys["token "+call.tokenKey] {
				t.Fatalf("the child sees %s or %s twice", call.key, call.tokenKey)
			}
			keys[call.key], keys["token "+call.tokenKey] = true, true
			told := rpc.AppendEdited(nil, m.Line,
				rpc.Edit{At: m.IDSpan(), With: []byte(call.key)}, rpc.Edit{At: m.TokenSpan(), With: []byte(call.tokenKey)})
			back, err := rpc.Parse(told)
			if err != nil || string(back.ID()) != call.key || string(back.Token()) != call.tokenKey {
				t.Fatalf("the child is told %s (%v)", told, err)
			}
			defer func() { answersAsAsked(t, c, q, call, m.ID(), m.Token()) }()
		}
	})
}

func answersAsAsked(t *testing.T, c *Conn, q *event.Queue, call *Call, id, token []byte) {
	for _, line := range []string{
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + call.tokenKey + `,"progress":1}}`,
		`{"jsonrpc":"2.0","id":` + call.key + `,"result":{"id":"not this"}}`,
	} {
		routeLine(t, c, line)
	}
	progress, _, _ := q.Pop()
	answer, ok, _ := q.Pop()
	if m, err := rpc.Parse(progress.Bytes()); err != nil || !bytes.Equal(m.Token(), token) {
		t.Errorf("progress %s for the token %s", progress.Bytes(), token)
	}
	m, err := rpc.Parse(answer.Bytes())
	if !ok || err != nil || !bytes.Equal(m.ID(), id) || string(m.Result()) != `{"id":"not this"}` {
		t.Errorf("answer %s to the id %s", answer.Bytes(), id)
	}
	if _, more, _ := q.Pop(); more {
		t.Error("the other's answer came too")
	}
}

// routeLine routes a line as the reader of the child does.
func routeLine(t *testing.T, c *Conn, line string) {
	m, err := rpc.Parse([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	c.route(&m)
}
