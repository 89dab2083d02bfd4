package model

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Each API is asked with the tool on offer, and again with the tool's answer.
func TestEachAPIAsksOnceAndTells(t *testing.T) {
	s := httptest.NewServer(Handler("whoami"))
	t.Cleanup(s.Close)
	for name, c := range map[string]struct{ path, offers, answered, call string }{
		"messages": {
			"/v1/messages?beta=true", `{"tools": [{"name": "Bash"}, {"name": "mcp__gate__whoami"}],
				"messages": [{"role": "user", "content": "who am I"}]}`,
			`{"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "alice"}]}]}`,
			`"name":"mcp__gate__whoami"`,
		},
		"responses": {
			"/v1/responses", `{"tools": [{"type": "namespace", "name": "gate", "tools": [{"name": "whoami"}]}], "input": []}`,
			`{"input": [{"type": "function_call_output", "output": "alice"}]}`, `"namespace":"gate"`,
		},
		"completions": {
			"/v1/chat/completions", `{"tools": [{"function": {"name": "gate_whoami"}}], "messages": []}`,
			`{"messages": [{"role": "tool", "content": "alice"}]}`, `"name":"gate_whoami"`,
		},
		"gemini": {
			"/v1beta/models/m:streamGenerateContent", `{"tools": [{"functionDeclarations": [{"name": "whoami"}]}]}`,
			`{"contents": [{"parts": [{"functionResponse": {"response": {"output": "alice"}}}]}]}`, `"name":"whoami"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for body, want := range map[string]string{c.offers: c.call, c.answered: Said, `{}`: "no tool whoami"} {
				res, err := http.Post(s.URL+c.path, "application/json", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if !strings.Contains(string(text), want) || want == Said && !strings.Contains(string(text), "alice") {
					t.Errorf("%s\nis answered by\n%s\nwhich has no %q", body, text, want)
				}
			}
		})
	}
}
