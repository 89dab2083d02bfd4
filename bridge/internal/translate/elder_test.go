package translate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/bridge/internal/translate"
)

func one(t *testing.T, lines [][]byte, parts ...string) string {
	t.Helper()
	if len(lines) != 1 || !json.Valid(lines[0]) {
		t.Fatalf("lines = %q, want one with %q", lines, parts)
	}
	for _, part := range parts {
		if !strings.Contains(string(lines[0]), part) {
			t.Fatalf("%s lacks %s", lines[0], part)
		}
	}
	return string(lines[0])
}

func idOf(t *testing.T, line string) string {
	t.Helper()
	o, err := translate.Parse([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return string(o.Get("id"))
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`

type lines struct{ Down, Up [][]byte }

func said(down, up [][]byte) lines { return lines{down, up} }

func modernOnly(t *testing.T) *translate.Elder {
	t.Helper()
	e := translate.NewElder()
	one(t, said(e.FromClient([]byte(initialize))).Down, "initialize")
	probe := one(
		t, said(e.FromChild([]byte(`{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}`))).Down,
		"server/discover",
	)
	got := said(
		e.FromChild(
			[]byte(
				`{"jsonrpc":"2.0","id":` + idOf(
					t,
					probe,
				) + `,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"2"}}}}`,
			),
		),
	)
	one(t, got.Up, `"id":0`, `"protocolVersion":"2025-06-18"`, `"serverInfo":{"name":"s","version":"2"}`, `"tools":{}`)
	return e
}

func TestElderAsksNothingWhereAQuestionCannotBeRead(t *testing.T) {
	e := modernOnly(t)
	for _, bad := range []string{`7`, `{"params":{}}`} {
		e.FromClient([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}`))
		got := said(
			e.FromChild(
				[]byte(
					`{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"},"l":` + bad + `}}}`,
				),
			),
		)
		one(t, got.Up, `"id":7`, `"code":-32603`)
		for n := range 9 { // whatever id a question could have had
			late := said(e.FromClient(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"gh-elder-%d","result":{}}`, n)))
			if len(late.Down)+len(late.Up) > 0 {
				t.Errorf("an answer to a question that was never asked: %q", late)
			}
		}
	}
}

func TestElderBoundsSubscriptions(t *testing.T) {
	e := modernOnly(t)
	for i := range 1024 {
		one(
			t,
			said(
				e.FromClient(
					fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"resources/subscribe","params":{"uri":"x:/%d"}}`, i, i),
				),
			).Up,
			`"result":{}`,
		)
	}
	got := said(
		e.FromClient([]byte(`{"jsonrpc":"2.0","id":"more","method":"resources/subscribe","params":{"uri":"x:/more"}}`)),
	)
	one(t, got.Up, `"id":"more"`, `"error"`)
	if len(got.Down) > 0 {
		t.Errorf("the server is told %q", got.Down)
	}
}

func TestElderForgetsACancelledCall(t *testing.T) {
	e := modernOnly(t)
	call, cancel := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`
	again := `{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"s"}}`
	e.FromClient([]byte(call))
	one(t, said(e.FromClient([]byte(cancel))).Down, "cancelled", `"requestId":7`)
	if got := said(e.FromChild([]byte(again))); len(got.Down)+len(got.Up) > 0 {
		t.Errorf("a cancelled call went on: %q", got)
	}
	e.FromClient([]byte(call))
	asked := idOf(
		t,
		one(
			t,
			said(
				e.FromChild(
					[]byte(
						`{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"}}}}`,
					),
				),
			).Up,
			"roots/list",
		),
	)
	e.FromClient([]byte(cancel))
	got := said(e.FromClient([]byte(`{"jsonrpc":"2.0","id":` + asked + `,"result":{}}`)))
	if len(got.Down)+len(got.Up) > 0 {
		t.Errorf("a cancelled call went on after its answer: %q", got)
	}
}

func TestElderPassesAnOlderChild(t *testing.T) {
	e := translate.NewElder()
	e.FromClient([]byte(initialize))
	one(t, said(e.FromChild([]byte(`{"jsonrpc":"2.0","id":0,"result":{}}`))).Up, `"result":{}`)
	if !e.Passes() {
		t.Error("a child that took initialize is still translated")
	}
}

func TestElderAsksTheOlderClient(t *testing.T) {
	e := modernOnly(t)
	one(
		t, said(e.FromClient([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))).Down, "subscriptions/listen",
	)
	one(
		t,
		said(
			e.FromClient([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"n":1.0}}}`)),
		).Down,
		`"id":7`,
		`"n":1.0`,
		`"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}`,
	)
	asked := one(
		t,
		said(
			e.FromChild(
				[]byte(
					`{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"st","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"?"}}}}}`,
				),
			),
		).Up,
		"elicitation/create",
		`"message":"?"`,
	)
	again := one(
		t, said(e.FromClient([]byte(`{"jsonrpc":"2.0","id":`+idOf(t, asked)+`,"result":{"action":"accept"}}`))).Down,
		`"inputResponses":{"who":{"action":"accept"}}`, `"requestState":"st"`,
	)
	if idOf(t, again) == "7" {
		t.Error("the retry has the id of the first request")
	}
	one(
		t,
		said(
			e.FromChild([]byte(`{"jsonrpc":"2.0","id":`+idOf(t, again)+`,"result":{"resultType":"complete","content":[]}}`)),
		).Up,
		`"id":7`,
		`"content":[]`,
	)
	one(t, said(e.FromClient([]byte(`{"jsonrpc":"2.0","id":8,"method":"ping"}`))).Up, `"id":8`, `"result":{}`)
}

func TestElderTellsTheRefusalOfAChildOfNoEra(t *testing.T) {
	e := translate.NewElder()
	e.FromClient([]byte(initialize))
	probe := one(t, said(e.FromChild([]byte(`{"jsonrpc":"2.0","id":0,"error":{"code":-1,"message":"mine"}}`))).Down)
	one(
		t, said(e.FromChild([]byte(`{"jsonrpc":"2.0","id":`+idOf(t, probe)+`,"error":{"code":-32601,"message":"no"}}`))).Up,
		"mine", `"id":0`,
	)
}

func FuzzElder(f *testing.F) {
	f.Add([]byte(initialize), []byte(`{"jsonrpc":"2.0","id":0,"error":{}}`))
	f.Fuzz(func(t *testing.T, client, child []byte) {
		if !json.Valid(client) || !json.Valid(child) {
			return
		}
		e := modernOnly(t)
		for _, l := range []lines{said(e.FromClient(client)), said(e.FromChild(child)), said(e.FromClient(child))} {
			for _, line := range append(l.Down, l.Up...) {
				if !json.Valid(line) {
					t.Fatalf("not JSON: %s", line)
				}
			}
		}
	})
}

// TestElderKeepsLittleOfALargeInitialize: its requests say who the client is, not
// what it looks like.
func TestElderKeepsLittleOfALargeInitialize(t *testing.T) {
	e, pad := translate.NewElder(), strings.Repeat("x", 1<<20)
	line := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
		`"capabilities":{"elicitation":{}},"clientInfo":{"name":"c","icons":["` + pad + `"],"version":"1"}}}`
	one(t, said(e.FromClient([]byte(line))).Down, "initialize")
	refused := `{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}`
	probe := one(t, said(e.FromChild([]byte(refused))).Down, "server/discover", `"name":"c"`, `{"elicitation":{}}`)
	if len(probe) > 1<<10 {
		t.Errorf("a request of %d bytes", len(probe))
	}
}
