package bridge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	self, _ := json.Marshal(os.Args[0])
	text := `{"mcpServers": {"good": {"command": ` + string(self) + `}, "near": {"type": "stdio", "command": "./server", "cwd": ` + string(near) + `}, "bad": {"command": "/nonexistent/server"}, "worse": {"command": ` +
		string(self) + `, "env": {"GATEHOUSE_TEST_CHILD_DIES": "out of ${GATEHOUSE_TEST_WORD}"}}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEHOUSE_TEST_WORD", "luck")
	b := startArgs(t, "--config", config)
	if status, text := get(t, b.base+"/health"); status != http.StatusOK || !strings.HasSuffix(text, "cannot start: bad\n") {
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
