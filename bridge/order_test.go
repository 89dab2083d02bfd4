package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestALogLineComesBeforeTheAnswer: at the endpoint of several servers too, what
// a server logs during a call is told on the stream of the call, where the
// client has no other open.
func TestALogLineComesBeforeTheAnswer(t *testing.T) {
	base, _ := startSeveral(t, []string{entryOf("a", ""), entryOf("b", "")})
	p := &streamablePeer{base: base}
	p.call(t, "", "logging/setLevel", "", `{"level":"debug"}`)
	for i := range 100 {
		mark := fmt.Sprintf("line %d.", i)
		params := fmt.Sprintf(`{"name":"b__log","arguments":{"text":%q,"count":0}}`, mark)
		_, body := post(t, base+"/mcp", "", stateful("tools/call", params),
			"Mcp-Session-Id", p.session, "Mcp-Protocol-Version", "2025-06-18")
		logged, answered := strings.Index(string(body), mark), strings.Index(string(body), `"result"`)
		if logged < 0 || answered < logged {
			t.Fatalf("call %d heard %s", i, body)
		}
	}
}
