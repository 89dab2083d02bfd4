package streamable_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/session"
)

func TestHeadersOfAPost(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	const both = "application/json, text/event-stream"
	for name, tc := range map[string]struct {
		header, value string
		status        int
	}{
		"both kinds":                {"Accept", both, 200},
		"in capitals":               {"Accept", "Application/JSON, TEXT/event-stream", 200},
		"ranges":                    {"Accept", "application/*, text/*;q=0.1", 200},
		"streams of no weight":      {"Accept", "application/json, text/event-stream;q=0.0", 406},
		"with weights":              {"Accept", "text/event-stream;q=0.5,application/json", 200},
		"anything":                  {"Accept", "*/*", 200},
		"no Accept":                 {"X-Nothing", "", 200},
		"JSON alone":                {"Accept", "application/json", 406},
		"streams alone":             {"Accept", "text/event-stream", 406},
		"a page":                    {"Accept", "text/html", 406},
		"JSON with a charset":       {"Content-Type", "application/json; charset=utf-8", 200},
		"JSON in capitals":          {"Content-Type", "Application/JSON", 200},
		"no Content-Type":           {"Content-Type", "", 415},
		"packed":                    {"Content-Encoding", "gzip", 415},
		"packed not at all":         {"Content-Encoding", "Identity", 200},
		"text":                      {"Content-Type", "text/plain", 415}, // what a page may send without asking
		"a form":                    {"Content-Type", "application/x-www-form-urlencoded", 415},
		"a name that begins alike":  {"Content-Type", "application/jsonp", 415},
		"the version of 2024":       {"MCP-Protocol-Version", "2024-11-05", 200},
		"the version agreed on":     {"MCP-Protocol-Version", "2025-06-18", 200},
		"another with sessions":     {"MCP-Protocol-Version", "2025-11-25", 200},
		"a version without":         {"MCP-Protocol-Version", "2026-07-28", 400},
		"a version that is no date": {"MCP-Protocol-Version", "latest", 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.post(fronttest.Call("1", "echo", "here", 0), tc.header, tc.value)
			if tc.status == http.StatusOK {
				if r.Status != http.StatusOK || !strings.Contains(r.Body, `"here"`) ||
					r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
				}
				return
			}
			code := `"code":-32600`
			if tc.header == "MCP-Protocol-Version" {
				code = `"code":-32022`
			}
			r.Refused(t, tc.status, code)
		})
	}
	c.do(http.MethodGet, "", "MCP-Protocol-Version", "latest").Refused(t, http.StatusBadRequest, `"code":-32022`)
}

func TestBodies(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.Body = 512 }})
	c := open(t, g, "2025-06-18")
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"nothing":               {"", 400, `"code":-32700`},
		"no JSON":               {"{", 400, `"code":-32700`},
		"no message":            {`{"jsonrpc":"2.0"}`, 400, `"code":-32600`},
		"another JSON-RPC":      {`{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, `"code":-32600`},
		"no such notification":  {`{"jsonrpc":"2.0","method":"ping"}`, 400, "must be named notifications/"},
		"longer than the bound": {fronttest.Call("1", "echo", strings.Repeat("x", 512), 0), 413, "longer than 512 bytes"},
	} {
		t.Run(name, func(t *testing.T) { c.post(tc.body).Refused(t, tc.status, tc.says) })
	}
	c.takes(`{"jsonrpc":"2.0","id":"nobody asked","result":{}}`)
}

func TestWhatIsModernGoesToItsFront(t *testing.T) {
	g := startDual(t)
	const meta = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	const discover = `{"jsonrpc":"2.0", "id":1,"method":"server/discover"}`
	for name, tc := range map[string]struct{ method, body, header, value string }{
		"by its header":         {http.MethodPost, ping, "MCP-Protocol-Version", "2026-07-28"},
		"by an unknown version": {http.MethodGet, "", "MCP-Protocol-Version", "2099-01-01"},
		"by its message":        {http.MethodPost, meta, "X-Nothing", ""},
		"by the method":         {http.MethodPost, discover, "X-Nothing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := g.Do(t, tc.method, "/", tc.body, tc.header, tc.value)
			if want := "modern " + tc.method + " " + tc.body; r.Body != want {
				t.Errorf("%d %q, want %q", r.Status, r.Body, want)
			}
		})
	}
	// In a session the method is the child's to know.
	r := open(t, g, "2025-06-18").post(discover)
	if r.Status != http.StatusOK || !strings.Contains(r.Body, "the child knows no such method") {
		t.Errorf("in a session: %d %s", r.Status, r.Body)
	}
	alone := start(t, fronttest.Options{})
	alone.Do(t, http.MethodPost, "/", discover).
		Refused(t, http.StatusBadRequest, `"id":1,"error":{"code":-32601,"message":"server/discover is not known here`)
}

// TestTheVersionOfASessionStaysGood, whatever the child calls it, and another
// that nobody speaks is refused with those that are spoken.
func TestTheVersionOfASessionStaysGood(t *testing.T) {
	for _, child := range []string{"1.0.0", "2024-10-07", "2024-11-05", "2025-11-25"} {
		t.Run(child, func(t *testing.T) {
			g := startDualOf(t, child)
			c := open(t, g, child, "MCP-Protocol-Version", child) // initialize is negotiated whatever its header says
			r := c.post(fronttest.Call("1", "echo", "here", 0), "MCP-Protocol-Version", child)
			if r.Status != http.StatusOK || !strings.Contains(r.Body, `"here"`) {
				t.Errorf("a call: %d %s", r.Status, r.Body)
			}
			c.listen("MCP-Protocol-Version", child).Leave()
			r = g.Do(t, http.MethodPost, "/", ping, "Mcp-Session-Id", c.id(), "MCP-Protocol-Version", "2099-01-01")
			r.Refused(t, http.StatusBadRequest, `"code":-32022`)
			if !strings.Contains(r.Body, `"supported":["2026-07-28","2025-11-25",`) ||
				!strings.Contains(r.Body, `"requested":"2099-01-01"`) {
				t.Errorf("an unknown version: %s", r.Body)
			}
		})
	}
	g := startDualOf(t, "2025-06-18")
	for _, header := range []string{"2026-07-28", "2099-01-01", "latest", "2024-11-05"} {
		r := g.Do(t, http.MethodPost, "/", fronttest.Initialize("2025-06-18"), "MCP-Protocol-Version", header)
		if r.Status != http.StatusOK || r.Header.Get("Mcp-Session-Id") == "" {
			t.Errorf("initialize under %s: %d %s", header, r.Status, r.Body)
		}
	}
	g.Do(t, http.MethodPost, "/", ping, "MCP-Protocol-Version", "2099-01-01").
		Refused(t, http.StatusBadRequest, `"code":-32022`)
}

// TestAByteOrderMarkIsRead in front of a body.
func TestAByteOrderMarkIsRead(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	if r := c.post("\xef\xbb\xbf" + fronttest.Call("1", "echo", "here", 0)); !strings.Contains(r.Body, `"here"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
