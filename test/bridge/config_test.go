package bridge_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// get returns the status and body of a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// writeConfig makes a file of these entries, in one step: half a file is one with
// a fault.
func writeConfig(t *testing.T, path, entries string) string {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(`{"mcpServers": {`+entries+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// self are the keys of an entry that starts this test binary as the server.
func self() string {
	path, _ := json.Marshal(os.Args[0])
	return `"command": ` + string(path) + `, "inherit": ["GATEHOUSE_TEST_CHILD"]`
}

// openAt opens a session with a server of the file.
func openAt(t *testing.T, b *bridge, server string) *client {
	t.Helper()
	c := newClient(t, b.base+"/servers/"+server+"/mcp", nil)
	if a := c.post(initialize); a.Status != http.StatusOK {
		t.Fatalf("%s answered %+v", server, a)
	}
	return c
}

// TestAFileAsPeopleHaveIt: what other clients keep in it is no fault, and the
// faults of one entry are its own.
func TestAFileAsPeopleHaveIt(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_WORD", "secret")
	t.Setenv("BRIDGE_NODE", "a")
	config := writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"), `
		"My Server": {`+self()+`, "autoApprove": ["echo"], "disabled": false, "timeout": 60,
			"env": {"MINE": "${GATEHOUSE_TEST_WORD} ${NONE:-by default}"}},
		"other": {`+self()+`, "gatehouse": {"isolation": "shared"}},
		"typo": {"comand": "npx"}, "far": {"url": "http://far.example/mcp"}`)
	b := startArgs(t, "--config", config)
	mine, others := openAt(t, b, "My-Server").says("environ", "", 0), openAt(t, b, "other").says("environ", "", 0)
	if !strings.Contains(mine, "\nMINE=secret by default\n") || !strings.Contains(mine, "\nMCP_USER_ID=local") {
		t.Errorf("the server got %s", mine)
	}
	if strings.Contains(others, "secret") || strings.Contains(others, "BRIDGE_NODE") ||
		strings.Contains(others, "MCP_USER_ID") {
		t.Errorf("the other one, which is shared, got %s", others)
	}
	if status, text := get(t, b.base+"/health"); status != http.StatusOK ||
		!strings.HasSuffix(text, "cannot start: far, typo\n") {
		t.Errorf("/health says %d %q", status, text)
	}
	a := newClient(t, b.base+"/servers/typo/mcp", nil).post(initialize)
	if a.Status != http.StatusServiceUnavailable || a.Error == nil || !strings.Contains(a.Error.Message, "typo") {
		t.Errorf("typo answers %+v", a)
	}
	for _, says := range []string{
		"mcpServers.My Server is served at /servers/My-Server/",
		"My Server.autoApprove, My Server.disabled, My Server.timeout",
		`unknown key \"comand\"; did you mean`, "mcpServers.far: url",
	} {
		if !strings.Contains(b.log.String(), says) {
			t.Errorf("the log does not say %q", says)
		}
	}
}

// TestTheOnlyServerAnswersAtMCPToo: the packaged file has one, and everything
// says https://HOST/mcp. It is there as it is, under the names that it has.
func TestTheOnlyServerAnswersAtMCPToo(t *testing.T) {
	one := startArgs(t, "--config", writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"), `"only": {`+self()+`}`))
	for _, path := range []string{"/mcp", "/servers/only/mcp"} {
		c := newClient(t, one.base+path, nil)
		if a := c.post(initialize); a.Status != http.StatusOK {
			t.Fatalf("%s answered %+v", path, a)
		}
		if got := c.says("echo", "well", 0); got != "well" {
			t.Errorf("%s answered %q", path, got)
		}
	}
}

// TestTheFileIsReadAgain: what did not change keeps its sessions, the call in
// flight on what went is still answered, and a file with a fault changes
// nothing.
func TestTheFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.json")
	stays, goes := `"stays": {`+self()+`}`, `"goes": {`+self()+`}`
	b := startArgs(t, "--config", writeConfig(t, path, stays+","+goes+`,"changes": {`+self()+`, "env": {"WORD": "old"}}`))
	kept, lost := openAt(t, b, "stays"), openAt(t, b, "goes")
	pid := kept.says("pid", "", 0)
	res, err := http.DefaultClient.Do(lost.request(t.Context(), http.MethodPost, callBody(9, "progress", "", 40)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer := bufio.NewReader(res.Body)
	if first, err := nextEvent(answer); err != nil {
		t.Fatalf("the call is not in flight: %+v, %v", first, err)
	}

	writeConfig(t, path, stays+`,"changes": {`+self()+`, "env": {"WORD": "new"}}, "comes": {`+self()+`}`)
	eventually(t, "the new server is served", func() bool {
		status, _ := get(t, b.base+"/servers/comes/mcp")
		return status != http.StatusNotFound
	})
	openAt(t, b, "comes")
	if got := kept.says("pid", "", 0); got != pid {
		t.Errorf("the session of a server that did not change has another child: %s, it was %s", got, pid)
	}
	if words := openAt(t, b, "changes").says("environ", "", 0); !strings.Contains(words, "\nWORD=new") {
		t.Errorf("the changed server has %s", words)
	}
	if status, _ := get(t, b.base+"/servers/goes/mcp"); status != http.StatusNotFound {
		t.Errorf("a server that went answers %d", status)
	}
	if said := readEvents(t, answer); len(said) == 0 || !strings.Contains(said[len(said)-1].data, `"done"`) {
		t.Errorf("the call in flight on a server that went ended with %+v", said)
	}
	for _, server := range []string{"goes", "changes"} {
		eventually(t, "the child of the server that "+server+" has ended", func() bool {
			return b.logged("a server whose entry changed or went has ended", `"server":"`+server+`"`) == 1
		})
	}

	const fault = "the configuration that was in force stays so"
	if n := b.logged(fault); n != 0 {
		t.Errorf("%d faults of a good file are told", n)
	}
	if err := os.WriteFile(path, []byte(`{"mcpServers": {`), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = b.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "the fault is told", func() bool { return b.logged(fault) > 0 })
	if got := kept.says("pid", "", 0); got != pid {
		t.Errorf("after a bad file the session has another child: %s, it was %s", got, pid)
	}
}

func TestOneServerThatCannotStartTouchesNoOther(t *testing.T) {
	config := filepath.Join(t.TempDir(), "mcp.json")
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "server")); err != nil {
		t.Fatal(err)
	}
	near, _ := json.Marshal(dir)
	t.Setenv("GATEHOUSE_TEST_WORD", "luck")
	b := startArgs(t, "--config", writeConfig(t, config, `"good": {`+self()+`},
		"near": {"type": "stdio", "command": "./server", "cwd": `+string(near)+`, "inherit": ["GATEHOUSE_TEST_CHILD"]},
		"bad": {"command": "/nonexistent/server"},
		"worse": {`+self()+`, "env": {"GATEHOUSE_TEST_CHILD_DIES": "out of ${GATEHOUSE_TEST_WORD}"}}`))
	// The bridge's own check may have found out about the other already.
	if status, text := get(t, b.base+"/health"); status != http.StatusOK ||
		!strings.HasSuffix(text, "cannot start: bad\n") && !strings.HasSuffix(text, "cannot start: bad, worse\n") {
		t.Errorf("at first /health says %d %q", status, text)
	}
	for range 4 {
		for name, says := range map[string]string{"bad": "no such file", "worse": ""} {
			a := newClient(t, b.base+"/servers/"+name+"/mcp", nil).post(initialize)
			if a.Error == nil || !strings.Contains(a.Error.Message, says) {
				t.Errorf("%s answered %+v", name, a.Error)
			}
		}
	}
	var c *client
	for _, name := range []string{"near", "good"} {
		c = newClient(t, b.base+"/servers/"+name+"/mcp", nil)
		if a := c.post(initialize); a.Status != http.StatusOK {
			t.Fatalf("%s answered %+v", name, a)
		}
		if got := c.says("echo", "well", 0); got != "well" {
			t.Errorf("%s answered %q", name, got)
		}
	}
	eventually(t, "/health names both", func() bool {
		newClient(t, b.base+"/servers/worse/mcp", nil).post(initialize)
		status, text := get(t, b.base+"/health")
		return status == http.StatusOK && strings.Contains(text, "cannot start: bad, worse")
	})
	a := newClient(t, b.base+"/servers/worse/mcp", nil).post(initialize)
	if a.Error == nil || !strings.Contains(a.Error.Message, "exit status 4") {
		t.Errorf("the breaker says %+v; want the exit", a.Error)
	}
	if status, _ := get(t, b.base+"/servers/none/mcp"); status != http.StatusNotFound {
		t.Errorf("an unknown server answers %d", status)
	}
	other := newClient(t, b.base+"/servers/bad/mcp", nil)
	other.id = c.id
	if a := other.call("echo", "", 0); a.Status != http.StatusNotFound {
		t.Errorf("the session of one server answers %d on another", a.Status)
	}
}

func TestEndpointEventCarriesThePrefix(t *testing.T) {
	b := start(t, "--public-prefix", "/tools")
	for name, tc := range map[string]struct{ forwarded, want string }{
		"the flag":               {"", "/tools/message?sessionId="},
		"and the proxy's":        {"/outer/", "/outer/tools/message?sessionId="},
		"a foreign origin is no": {"//evil.example", "/tools/message?sessionId="},
		"a URL is no":            {"/http://evil.example/", "/tools/message?sessionId="},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if tc.forwarded != "" {
				header.Set("X-Forwarded-Prefix", tc.forwarded)
			}
			if c := openSSE(t, b.base, "/sse", header); !strings.HasPrefix(c.post, tc.want) {
				t.Errorf("endpoint %q, want %s...", c.post, tc.want)
			}
		})
	}
}
