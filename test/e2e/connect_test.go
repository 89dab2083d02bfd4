//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

var toVisit = regexp.MustCompile(`to sign in, visit: (http\S+)`)

// otherEnd is `bridge connect`, which a test's client starts.
type otherEnd struct {
	cmd  *exec.Cmd
	said *transcript
	dir  string // of its tokens
}

func bridgeConnect(t *testing.T, dir, path string, flags ...string) *otherEnd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	args := append([]string{"connect", "--ca", gate.CAFile(), "--no-browser", "--tokens", dir, "--log-level", "info"}, flags...)
	o := &otherEnd{
		cmd:  exec.CommandContext(ctx, filepath.Join(repository(t), "bin", "bridge"), append(args, gate.URL+path)...),
		said: &transcript{}, dir: dir,
	}
	o.cmd.Stderr = o.said
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("bridge connect said:\n%s", strings.TrimSpace(o.said.String()))
		}
	})
	return o
}

// visits waits for the nth address that it asks its user to visit, and signs
// the person in there.
func (o *otherEnd) visits(t *testing.T, n int, user string) {
	t.Helper()
	var links [][]string
	eventually(t, time.Minute, "the address to visit", func() bool {
		links = toVisit.FindAllStringSubmatch(o.said.String(), -1)
		return len(links) >= n
	})
	do(t, browser(t), "sign in and consent", chromedp.Navigate(links[n-1][1]), keycloakLogin(user),
		chromedp.WaitVisible(`[name="accept"]`), chromedp.Click(`[name="accept"]`), chromedp.WaitNotPresent(`[name="accept"]`))
}

func (o *otherEnd) transport() mcp.Transport { return &mcp.CommandTransport{Command: o.cmd} }

// kept is what it keeps of its sign-in.
type kept struct {
	Token struct {
		Access string `json:"access_token"`
	} `json:"token"`
	Clients map[string]struct {
		ID string `json:"client_id"`
	} `json:"clients"`
}

func (o *otherEnd) kept(t *testing.T) (path string, k kept) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(o.dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v; want one file of tokens", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the tokens have the mode %v, %v", info.Mode(), err)
	}
	return files[0], k
}

// From nothing: a registration, a sign-in by a browser, and everything that a
// user of the demo server can do, over stdio and both of the gate's paths.
func TestBridgeConnectSignsInFromNothing(t *testing.T) {
	who := newPerson(t)
	for _, path := range []string{"/mcp", "/sse"} {
		t.Run(path, func(t *testing.T) {
			o := bridgeConnect(t, t.TempDir(), path)
			done := make(chan struct{})
			go func() {
				defer close(done)
				drive(t, o.transport(), who.name+"@example.com", false)
			}()
			o.visits(t, 1, who.name)
			<-done
			_, k := o.kept(t)
			if strings.Contains(o.said.String(), k.Token.Access) {
				t.Error("the token was told")
			}
			// The next start asks nobody.
			again := bridgeConnect(t, o.dir, path)
			drive(t, again.transport(), who.name+"@example.com", false)
			if toVisit.MatchString(again.said.String()) {
				t.Error("the next start asked for another sign-in")
			}
		})
	}
}

// A token that somebody else renews, as scripts have one.
func TestBridgeConnectWithATokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token(t, stack.Bob)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/mcp", "/sse"} {
		drive(t, bridgeConnect(t, t.TempDir(), path, "--token-file", file).transport(), "bob@example.com", true)
	}
}
