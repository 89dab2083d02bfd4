package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func lookup(name string) (string, bool) {
	value, ok := map[string]string{"TOKEN": "t", "EMPTY": "", "BIN": "/opt/bin"}[name]
	return value, ok
}

// one reads a file of one entry beside a good one, which must stay good.
func one(t *testing.T, entry string) (Server, []string) {
	t.Helper()
	f, err := parse([]byte(`{"mcpServers": {"other": {"command": "x"}, "a": `+entry+`}}`), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Servers) != 2 || f.Servers[0].Err != nil {
		t.Fatalf("the good entry is %+v", f.Servers[0])
	}
	return f.Servers[1], f.Notes
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.json")
	text := "\uFEFF" + `{"mcpServers": {
		"b": {"command": "${BIN}/run", "args": ["$TOKEN", "${TOKEN}", "--port", 3000, "${env:TOKEN}"], "cwd": "${BIN}",
			"env": {"A": "x${TOKEN}y${EMPTY}", "B": "$TOKEN", "C": "${NONE:-c d}${EMPTY:-e}${TOKEN:-f}${NONE:-}", "D": true}},
		"a": {"type": "stdio", "command": "other", "inherit": ["SSL_*"]},
		"far": {"type": "http", "url": "https://${NONE:-far.example}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}}
		}, "globalShortcut": "Ctrl+Space"}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path, lookup)
	if err != nil {
		t.Fatal(err)
	}
	want := []Server{
		{Key: "b", Name: "b", Command: "/opt/bin/run", Args: []string{"$TOKEN", "t", "--port", "3000", "t"}, Dir: "/opt/bin",
			Env: map[string]string{"A": "xty", "B": "$TOKEN", "C": "c det", "D": "true"}},
		{Key: "a", Name: "a", Type: "stdio", Command: "other", Inherit: []string{"SSL_*"}},
		{
			Key:     "far",
			Name:    "far",
			Type:    "http",
			URL:     "https://far.example/mcp",
			Headers: map[string]string{"Authorization": "Bearer t"},
		},
	}
	if !reflect.DeepEqual(got.Servers, want) || got.Notes != nil {
		t.Errorf("servers = %+v, %q\nwant %+v", got.Servers, got.Notes, want)
	}
}

// TestKeysOfOtherPrograms: Cline, Cursor, VS Code, Gemini CLI and Windsurf
// write these; one line names them.
func TestKeysOfOtherPrograms(t *testing.T) {
	s, notes := one(t, `{"command": "x", "disabled": false, "autoApprove": ["read"], "alwaysAllow": [], "timeout": 60,
		"description": "mine", "transportType": "stdio", "trust": true, "dev": {}, "tags": [], "shell": true}`)
	want := []string{"keys of other programs are ignored: a.disabled, a.autoApprove, a.alwaysAllow, a.timeout, " +
		"a.description, a.transportType, a.trust, a.dev, a.tags, a.shell"}
	if s.Err != nil || !slices.Equal(notes, want) {
		t.Errorf("err %v, notes %q", s.Err, notes)
	}
	f, err := parse([]byte(`{"mcpServers": {"on": {"command": "x"}, "off": {"command": "x", "disabled": true}}}`), lookup)
	if err != nil || len(f.Servers) != 1 || !slices.Equal(f.Notes, []string{"mcpServers.off is disabled and not served"}) {
		t.Errorf("a disabled one: %+v, %v", f, err)
	}
	for _, off := range []string{`"Disabled": true`, `"enabled": false`} {
		f, err := parse([]byte(`{"mcpServers": {"on": {"command": "x", "enabled": true}, "off": {"command": "x", `+off+`}}}`), lookup)
		if err != nil || len(f.Servers) != 1 || f.Servers[0].Name != "on" {
			t.Errorf("%s: %+v, %v", off, f, err)
		}
	}
}

func TestNames(t *testing.T) {
	f, err := parse(
		[]byte(`{"mcpServers": {"My Server": {"command": "x"}, "My-Server": {"command": "x"}, "a b": {"command": "x"},
		"슬랙": {"command": "x"}, "../etc": {"command": "x"}, "`+strings.Repeat("n", 70)+`": {"command": "x"}}}`),
		lookup,
	)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range f.Servers {
		if !nameForm.MatchString(s.Name) || seen[s.Name] {
			t.Errorf("%q is named %q", s.Key, s.Name)
		}
		seen[s.Name] = true
	}
	if !seen["My-Server"] || !seen["a-b"] || !seen["etc"] || f.Servers[1].Name != "My-Server" {
		t.Errorf("names: %v", seen)
	}
	if len(f.Notes) != 5 ||
		f.Notes[1] != "mcpServers.a b is served at /servers/a-b/ and is a-b in policies, logs and metrics" {
		t.Errorf("notes: %q", f.Notes)
	}
}

func TestGate(t *testing.T) {
	s, _ := one(t, `{"command": "x", "gatehouse":
		{"scopes": ["mcp.slack"], "roles": ["slack users"], "isolation": "user", "identity": "none", "warm": 0,
		"callTime": "90s", "sleep": "5m"}}`)
	none, sleep := 0, 5*time.Minute
	want := Gate{
		Scopes:    []string{"mcp.slack"},
		Roles:     []string{"slack users"},
		Isolation: "user",
		Identity:  "none",
		Warm:      &none,
		CallTime:  90 * time.Second,
		Sleep:     &sleep,
	}
	if s.Err != nil || !reflect.DeepEqual(s.Gate, want) {
		t.Errorf("gate %+v, %v", s.Gate, s.Err)
	}
}

// TestOneBadEntry: it says what is wrong and how to mend it, and the other is
// served.
func TestOneBadEntry(t *testing.T) {
	cases := map[string]struct{ entry, says string }{
		"no command":         {`{}`, "command is empty"},
		"no object":          {`"x"`, "must be an object"},
		"misspelt":           {`{"comand": "x"}`, `unknown key "comand"; did you mean "command"?`},
		"another case":       {`{"command": "x", "Args": []}`, `did you mean "args"?`},
		"swapped":            {`{"command": "x", "evn": {}}`, `did you mean "env"?`},
		"another's word":     {`{"command": "x", "environment": {}}`, `did you mean "env"?`},
		"Windsurf's":         {`{"serverUrl": "https://a.example"}`, `did you mean "url"?`},
		"outside the block":  {`{"command": "x", "isolation": "user"}`, `"isolation" belongs into "gatehouse": {...}`},
		"type of a url":      {`{"type": "sse", "command": "x"}`, `type "sse" needs a url`},
		"type of a command":  {`{"type": "stdio", "url": "https://a.example"}`, `needs a command`},
		"both":               {`{"url": "https://a.example", "command": "x"}`, "keep one"},
		"no url":             {`{"url": "a.example/mcp"}`, "http:// or https://"},
		"env for a url":      {`{"url": "https://a.example", "env": {"A": "b"}}`, "are for a command"},
		"unset":              {`{"command": "x", "env": {"K": "${NONE}"}}`, "${NONE} is not set"},
		"unset in args":      {`{"command": "x", "args": ["${NONE}"]}`, "write ${NONE:-default}"},
		"no string":          {`{"command": "x", "env": {"K": {"secret": "s"}}}`, "must be a string"},
		"bad variable":       {`{"command": "x", "env": {"K=L": ""}}`, `"K=L"`},
		"unknown in block":   {`{"command": "x", "gatehouse": {"role": ["a"]}}`, `gatehouse: unknown key "role"`},
		"bad isolation":      {`{"command": "x", "gatehouse": {"isolation": "all"}}`, `isolation "all"`},
		"bad time":           {`{"command": "x", "gatehouse": {"callTime": "5"}}`, `callTime "5"`},
		"bad sleep":          {`{"command": "x", "gatehouse": {"sleep": "-1s"}}`, `sleep "-1s"`},
		"sleep outside":      {`{"command": "x", "sleep": "5m"}`, `"sleep" belongs into "gatehouse": {...}`},
		"bad identity":       {`{"command": "x", "gatehouse": {"identity": "nobody"}}`, `identity "nobody"`},
		"bad warm":           {`{"command": "x", "gatehouse": {"warm": -1}}`, `warm -1`},
		"two scopes in one":  {`{"command": "x", "gatehouse": {"scopes": ["a b"]}}`, `"a b" is no scope`},
		"scope of two lines": {`{"command": "x", "gatehouse": {"scopes": ["a\nb"]}}`, `is no scope`},
		"key given twice":    {`{"command": "x", "gatehouse": {"roles": ["a"]}, "gatehouse": {}}`, `"gatehouse" is given twice`},
		"twice in the block": {`{"command": "x", "gatehouse": {"roles": ["a"], "roles": []}}`, `"roles" is given twice`},
		"half switched off":  {`{"command": "x", "disabled": "true"}`, `disabled "true" must be true or false`},
		"no pattern":         {`{"command": "x", "inherit": ["[A"]}`, `inherit: "[A"`},
		"another kind":       {`{"command": ["x"]}`, "command: want a string, not array"},
		"a kind in block":    {`{"command": "x", "gatehouse": {"warm": "1"}}`, "gatehouse: warm: want a number, not string"},
		"all faults":         {`{"comand": "x", "cwd": "${NONE}"}`, "${NONE} is not set"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, _ := one(t, tc.entry)
			if s.Err == nil || !strings.Contains(s.Err.Error(), tc.says) || !strings.Contains(s.Err.Error(), "mcpServers.a: ") {
				t.Errorf("err = %v, want %q", s.Err, tc.says)
			}
			if strings.Contains(s.Err.Error(), "secret") {
				t.Error("it tells a value")
			}
		})
	}
}

func TestNoServerAtAll(t *testing.T) {
	cases := map[string]struct{ text, says string }{
		"not JSON":      {`{`, "unexpected end of JSON"},
		"a comma":       {"{\n \"mcpServers\": {\"a\": {\"command\": \"x\",\n  }}}", "line 3, column 3: invalid character '}'"},
		"what to do":    {`{"mcpServers": {"a": {"command": "x",}}}`, "take out the comma before it"},
		"a comment":     {"{\n // mine\n}", "line 2, column 2: invalid character '/' looking for beginning of object key string; JSON has no comments"},
		"VS Code's":     {`{"servers": {"a": {"command": "x"}}}`, `name it "mcpServers" here`},
		"a list":        {`[]`, "want an object, not array"},
		"no servers":    {`{"mcpServers": {}}`, "mcpServers is empty"},
		"null":          {`{"mcpServers": null}`, "must be an object"},
		"a second file": {`{"mcpServers": {"a": {"command": "x"}}} {}`, "after top-level value"},
		"all are bad":   {`{"mcpServers": {"a": {}, "b": {"url": "x"}}}`, "mcpServers.b: url must be"},
		"given twice":   {`{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}`, "given twice"},
		"all are off":   {`{"mcpServers": {"a": {"command": "x", "disabled": true}}}`, "every server is disabled"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mcp.json")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Read(path, lookup)
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("err = %v, want ErrConfig that says %q", err, tc.says)
			}
		})
	}
}

func TestEnviron(t *testing.T) {
	own := []string{
		"PATH=/bin", "HOME=/root", "TOKEN=t", "SSL_CERT_FILE=ca", "BRIDGE_NODE=a", "NOTIFY_SOCKET=s", "WATCHDOG_USEC=1",
		"CREDENTIALS_DIRECTORY=/run/c", "OTEL_EXPORTER_OTLP_HEADERS=secret",
	}
	cases := map[string]struct {
		server Server
		want   []string
	}{
		"of a file": {
			Server{Env: map[string]string{"B": "2", "A": "1"}},
			[]string{"PATH=/bin", "HOME=/root", "A=1", "B=2"},
		},
		"its own wins": {Server{Env: map[string]string{"HOME": "/srv"}}, []string{"PATH=/bin", "HOME=/srv"}},
		"that inherits": {
			Server{Inherit: []string{"SSL_*", "TOKEN", "BRIDGE_NODE"}},
			[]string{"PATH=/bin", "HOME=/root", "TOKEN=t", "SSL_CERT_FILE=ca"},
		},
		"after --": {
			Command([]string{"x"}, "", nil),
			[]string{"PATH=/bin", "HOME=/root", "TOKEN=t", "SSL_CERT_FILE=ca"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.server.Environ(own); !slices.Equal(got, tc.want) {
				t.Errorf("environment %q, want %q", got, tc.want)
			}
		})
	}
}

func TestEqual(t *testing.T) {
	base := func() Server { return Server{Name: "a", Command: "x", Env: map[string]string{"K": "v"}} }
	changed := map[string]func(*Server){
		"env":     func(s *Server) { s.Env["K"] = "w" },
		"args":    func(s *Server) { s.Args = []string{"y"} },
		"block":   func(s *Server) { s.Gate.Isolation = "user" },
		"a fault": func(s *Server) { s.Err = ErrConfig },
	}
	if !base().Equal(base()) {
		t.Error("two alike are not")
	}
	for name, change := range changed {
		other := base()
		if change(&other); base().Equal(other) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}
