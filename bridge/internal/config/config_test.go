package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func lookup(name string) (string, bool) {
	value, ok := map[string]string{"TOKEN": "t", "EMPTY": ""}[name]
	return value, ok
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.json")
	text := `{"mcpServers": {
		"b": {"command": "run", "args": ["$TOKEN", "${TOKEN}"], "env": {"A": "x${TOKEN}y${EMPTY}", "B": "$TOKEN"}},
		"a": {"type": "stdio", "command": "other", "cwd": "/srv"}}, "globalShortcut": "Ctrl+Space"}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path, lookup)
	if err != nil {
		t.Fatal(err)
	}
	want := []Server{
		{Name: "a", Command: "other", Dir: "/srv", Env: map[string]string{}},
		{Name: "b", Command: "run", Args: []string{"$TOKEN", "${TOKEN}"}, Env: map[string]string{"A": "xty", "B": "$TOKEN"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("servers = %+v\nwant %+v", got, want)
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct{ text, says string }{
		"not JSON":         {`{`, "unexpected end of JSON"},
		"no servers":       {`{"mcpServers": {}}`, "mcpServers is empty"},
		"unknown key":      {`{"mcpServers": {"a": {"command": "x", "shell": true}}}`, "shell"},
		"another type":     {`{"mcpServers": {"a": {"type": "sse", "command": "x"}}}`, `type "sse" is not served`},
		"a second file":    {`{"mcpServers": {"a": {"command": "x"}}} {}`, "after top-level value"},
		"no command":       {`{"mcpServers": {"a": {}}}`, "mcpServers.a: command is empty"},
		"slash in name":    {`{"mcpServers": {"a/b": {"command": "x"}}}`, "mcpServers.a/b"},
		"unset variable":   {`{"mcpServers": {"a": {"command": "x", "env": {"K": "${NONE}"}}}}`, "${NONE} is not set"},
		"all at once":      {`{"mcpServers": {"a": {}, "..": {"command": "x"}}}`, "mcpServers...:"},
		"all at once, too": {`{"mcpServers": {"a": {}, "..": {"command": "x"}}}`, "mcpServers.a:"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(tc.text), "mcp.json", lookup)
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want ErrConfig that says %q", err, tc.says)
			}
		})
	}
}
