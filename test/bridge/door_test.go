package bridge_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// behind is a bridge with several servers, of which one cannot start and one
// never answers.
func behind(t *testing.T, args ...string) *bridge {
	t.Helper()
	file := writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"),
		`"a": {`+self()+`}, "b": {`+self()+`}, "broken": {"command": "false"}, "deaf": {"command": "sleep", "args": ["1000"]}`)
	return startArgs(t, append([]string{"--config", file, "--list-time", "2s"}, args...)...)
}

// named lets a client of the suite name the tools of one server.
func named(f front, server string) front {
	say := f.say
	f.say = func(id, method, params string) string {
		return say(id, method, strings.Replace(params, `"name":"`, `"name":"`+server+`__`, 1))
	}
	return f
}

// TestAllServersAreOneFrontLikeAny: /mcp and /sse of several servers pass the
// suite of any server, in each era and for each server.
func TestAllServersAreOneFrontLikeAny(t *testing.T) {
	b := behind(t)
	for _, server := range []string{"a", "b"} {
		for _, f := range fronts(t, b) {
			t.Run(server+"/"+f.name, func(t *testing.T) { suite(t, named(f, server), false) })
		}
	}
}

// TestListsOfAllServers: a server that cannot start and one that never answers
// cost their own entries.
func TestListsOfAllServers(t *testing.T) {
	b := behind(t)
	for _, f := range fronts(t, b) {
		t.Run(f.name, func(t *testing.T) {
			var got struct {
				Result struct{ Tools []struct{ Name string } }
			}
			text := f.say("1", "tools/list", "")
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			count := map[string]int{}
			for _, tool := range got.Result.Tools {
				server, _, _ := strings.Cut(tool.Name, "__")
				count[server]++
			}
			if len(count) != 2 || count["a"] == 0 || count["a"] != count["b"] {
				t.Errorf("tools by server: %v", count)
			}
			if text := f.say("2", "tools/call", `"name":"nobody__echo","arguments":{}`); !strings.Contains(text, "-32602") {
				t.Errorf("a tool of no server: %s", text)
			}
		})
	}
	if !strings.Contains(b.log.String(), "a list goes without this server's part") {
		t.Error("the log does not tell of what is missing")
	}
}
