//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// The bridges to HTTP that desktop clients start, driven over stdio as these do.
const (
	supergateway = "supergateway@4.0.0"
	mcpRemote    = "mcp-remote@0.15.1"
)

// supergateway itself passes no notification on to its stdin's client.
func TestSupergatewayForClaudeDesktop(t *testing.T) {
	cmd, _ := npx(t, supergateway, "--sse", gate.URL+"/sse", "--oauth2Bearer", token(t, stack.Alice))
	session := connect(t, &mcp.CommandTransport{Command: cmd}, nil)
	if who := call(t, session, "whoami", nil); !strings.Contains(who, "alice@example.com") {
		t.Errorf("whoami = %q, want alice", who)
	}
	if sum := call(t, session, "add", map[string]any{"a": 2, "b": 3}); sum != "5" {
		t.Errorf("2 + 3 = %s", sum)
	}
}

func TestMcpRemoteWithAToken(t *testing.T) {
	cmd, _ := npx(t, mcpRemote, gate.URL+"/mcp", "--header", "Authorization: Bearer "+token(t, stack.Bob))
	drive(t, &mcp.CommandTransport{Command: cmd}, "bob@example.com", true)
}

var visit = regexp.MustCompile(`visiting:\s+(http\S+)`)

// mcp-remote registers itself at Keycloak, and its user signs in by a browser.
func TestMcpRemoteSignsIn(t *testing.T) {
	cmd, said := npx(t, mcpRemote, gate.URL+"/mcp")
	done := make(chan struct{})
	go func() {
		defer close(done)
		drive(t, &mcp.CommandTransport{Command: cmd}, "alice@example.com", false)
	}()
	var link []string
	eventually(t, crowded*time.Minute, "the address to visit", func() bool {
		link = visit.FindStringSubmatch(said.String())
		return link != nil
	})
	ctx := browser(t)
	do(
		t,
		ctx,
		"sign in and consent",
		chromedp.Navigate(link[1]),
		keycloakLogin(stack.Alice),
		chromedp.WaitVisible(
			`[name="accept"]`,
		),
		chromedp.Click(`[name="accept"]`),
		chromedp.WaitNotPresent(`[name="accept"]`),
	)
	<-done
}

// npx starts a published package and keeps what it says on stderr.
func npx(t *testing.T, args ...string) (*exec.Cmd, *transcript) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sessionLife)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "npx", append([]string{"-y"}, args...)...)
	cmd.Env = append(
		os.Environ(),
		"NODE_EXTRA_CA_CERTS="+gate.CAFile(),
		"MCP_REMOTE_CONFIG_DIR="+t.TempDir(),
		"BROWSER=true",
	)
	said := &transcript{}
	cmd.Stderr = said
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", args[0], strings.TrimSpace(said.String()))
		}
	})
	return cmd, said
}

// transcript is a buffer that is read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
