//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
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
	ctx, cancel := context.WithTimeout(t.Context(), sessionLife)
	t.Cleanup(cancel)
	args := append(
		[]string{"connect", "--ca", gate.CAFile(), "--no-browser", "--tokens", dir, "--log-level", "info"},
		flags...)
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

// visit waits for the address that it asks its user to visit, and signs the
// person in there. Keycloak asks for consent once for each registration.
func (o *otherEnd) visit(t *testing.T, user string, consents bool) {
	t.Helper()
	var link []string
	eventually(t, crowded*time.Minute, "the address to visit", func() bool {
		link = toVisit.FindStringSubmatch(o.said.String())
		return link != nil
	})
	steps := []chromedp.Action[chromedp.Void]{chromedp.Navigate(link[1]), keycloakLogin(user)}
	if consents {
		const accept = `[name="accept"]`
		steps = append(steps, chromedp.WaitVisible(accept), chromedp.Click(accept), chromedp.WaitNotPresent(accept))
	}
	do(t, browser(t), "sign in", steps...)
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
			o.visit(t, who.name, true)
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

// Two starts share a token that lives for seconds: both go on across its ends.
// Then an administrator signs the user out: the next refresh finds out, the user
// signs in again, and the call that waited is answered.
func TestBridgeConnectRefreshesAndSignsInAgain(t *testing.T) {
	who := newPerson(t)
	first := bridgeConnect(t, t.TempDir(), "/mcp")
	done := make(chan struct{})
	go func() {
		defer close(done)
		drive(t, first.transport(), who.name+"@example.com", false)
	}()
	first.visit(t, who.name, true)
	<-done
	path, k := first.kept(t)
	for _, c := range k.Clients {
		shorten(t, c.ID)
	}
	expire(t, path)
	one, two := bridgeConnect(t, first.dir, "/mcp"), bridgeConnect(t, first.dir, "/mcp")
	a, b := connect(t, one.transport(), nil), connect(t, two.transport(), nil)
	seen := map[string]bool{}
	eventually(t, 40*time.Second, "three tokens", func() bool {
		call(t, a, "whoami", nil)
		call(t, b, "whoami", nil)
		_, now := first.kept(t)
		seen[now.Token.Access] = true
		return len(seen) >= 3
	})
	admin(t, http.MethodPost, "/users/"+who.id+"/logout", nil, nil)
	answered := make(chan string, 1)
	go func() { answered <- asksUntilSignedOut(t, a, one) }()
	one.visit(t, who.name, false)
	if said := <-answered; !strings.Contains(said, who.name) {
		t.Errorf("whoami = %q", said)
	}
}

// asksUntilSignedOut calls until its user was asked to sign in, and returns the
// answer to the call that waited for that.
func asksUntilSignedOut(t *testing.T, session *mcp.ClientSession, o *otherEnd) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami", Arguments: map[string]any{}})
		switch {
		case err != nil:
			return err.Error()
		case toVisit.MatchString(o.said.String()):
			text, _ := json.Marshal(res.Content) // it came as JSON
			return string(text)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// shorten makes the tokens of a client live for seconds.
func shorten(t *testing.T, clientID string) {
	t.Helper()
	id := idOf(t, "/clients?clientId="+clientID)
	var client map[string]any
	admin(t, http.MethodGet, "/clients/"+id, nil, &client)
	attributes, _ := client["attributes"].(map[string]any)
	if attributes == nil {
		attributes = map[string]any{}
	}
	attributes["access.token.lifespan"] = shortTokens
	client["attributes"] = attributes
	admin(t, http.MethodPut, "/clients/"+id, client, nil)
}

// expire makes the kept token one that is about to end.
func expire(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	doc["token"].(map[string]any)["expires"] = time.Now().UTC().Format(time.RFC3339)
	if raw, err = json.Marshal(doc); err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// By the device grant, and out again: what was revoked opens nothing, and
// Keycloak has no client more than before.
func TestBridgeConnectByDevice(t *testing.T) {
	who := newPerson(t)
	o := bridgeConnect(t, t.TempDir(), "/mcp", "--device")
	done := make(chan struct{})
	go func() {
		defer close(done)
		drive(t, o.transport(), who.name+"@example.com", false)
	}()
	o.visit(t, who.name, true)
	<-done
	_, k := o.kept(t)
	for _, c := range k.Clients {
		idOf(t, "/clients?clientId="+url.QueryEscape(c.ID)) // it is there
	}
	out := exec.Command(o.cmd.Path, "logout", "--ca", gate.CAFile(), "--tokens", o.dir, gate.URL+"/mcp")
	if text, err := out.CombinedOutput(); err != nil {
		t.Fatalf("logout: %v: %s", err, text)
	}
	if files, _ := filepath.Glob(filepath.Join(o.dir, "*.json")); len(files) > 0 {
		t.Errorf("kept after the logout: %v", files)
	}
	for _, c := range k.Clients {
		var left []any
		if admin(t, http.MethodGet, "/clients?clientId="+url.QueryEscape(c.ID), nil, &left); len(left) > 0 {
			t.Errorf("the registration is still there: %v", left)
		}
	}
	// authsvc asks Keycloak every 2 s, and both may be busy; how long it takes at
	// rest auth_clients_test.go shows.
	eventually(t, 4*streamPromise, "the revoked token opens nothing", func() bool {
		res, _ := get(t, gate.URL+"/mcp", bearer(k.Token.Access))
		return res.StatusCode == http.StatusUnauthorized
	})
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
