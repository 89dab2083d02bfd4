// Package slack runs deploy/slack behind the bridge, the real Python server
// with the real slack_sdk, against a stand-in for Slack's Web API.
//
// It promises nothing about Slack itself: only what the stand-in, written
// from Slack's documentation of its Web API, answers.
package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
)

const (
	token     = "xoxb-stand-in"
	nChannels = 450 // three pages of the server's 200
)

// webAPI is the stand-in: two methods, form-encoded requests, JSON answers.
type webAPI struct {
	listed  atomic.Int32
	limited atomic.Int32 // answers 429 so many times first
	own     atomic.Value // a user's own token that counts beside the bot's
}

func (a *webAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if shown := r.Header.Get("Authorization"); shown != "Bearer "+token && shown != fmt.Sprint("Bearer ", a.own.Load()) {
		answer(w, map[string]any{"ok": false, "error": "invalid_auth"})
		return
	}
	switch r.URL.Path {
	case "/api/conversations.list":
		a.list(w, r)
	case "/api/chat.postMessage":
		post(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (a *webAPI) list(w http.ResponseWriter, r *http.Request) {
	if a.limited.Add(-1) >= 0 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		answer(w, map[string]any{"ok": false, "error": "ratelimited"})
		return
	}
	a.listed.Add(1)
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	from, _ := strconv.Atoi(r.FormValue("cursor"))
	to := min(from+limit, nChannels)
	page := make([]map[string]any, 0, limit)
	for i := from; i < to; i++ {
		page = append(
			page,
			map[string]any{"id": fmt.Sprintf("C%d", i), "name": fmt.Sprintf("channel-%d", i), "is_member": true},
		)
	}
	next := ""
	if to < nChannels {
		next = strconv.Itoa(to)
	}
	answer(w, map[string]any{"ok": true, "channels": page, "response_metadata": map[string]string{"next_cursor": next}})
}

func post(w http.ResponseWriter, r *http.Request) {
	// slack_sdk sends chat.postMessage as JSON, conversations.list as a form.
	var message struct{ Channel, Text string }
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		_ = json.NewDecoder(r.Body).Decode(&message)
	} else {
		message.Channel, message.Text = r.FormValue("channel"), r.FormValue("text")
	}
	if message.Channel != "C1" || message.Text == "" {
		answer(w, map[string]any{"ok": false, "error": "channel_not_found"})
		return
	}
	answer(w, map[string]any{"ok": true, "channel": message.Channel, "ts": "1700000000.000100"})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// python makes a virtual environment with the pinned packages, once for each
// state of requirements.txt, and returns its interpreter.
func python(t *testing.T) string {
	t.Helper()
	pins := filepath.Join(root(t), "deploy", "slack", "requirements.txt")
	raw, err := os.ReadFile(pins)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	venv := filepath.Join(root(t), ".cache", "venv", "slack-"+hex.EncodeToString(sum[:6]))
	interpreter := filepath.Join(venv, "bin", "python")
	done := filepath.Join(venv, "complete")
	if _, err := os.Stat(done); err == nil {
		return interpreter
	}
	for _, argv := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{interpreter, "-m", "pip", "install", "--quiet", "--requirement", pins},
	} {
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return interpreter
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func serverArgs(t *testing.T) []string {
	return []string{python(t), filepath.Join(root(t), "deploy", "slack", "server.py")}
}

// connect puts the server behind a bridge and opens a session with it.
func connect(t *testing.T, api, botToken string) *mcp.ClientSession {
	t.Helper()
	addr := freeport.Addr(t)
	bridge := filepath.Join(t.TempDir(), "bridge")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bridge,
		filepath.Join(root(t), "bridge")).CombinedOutput(); err != nil {
		t.Fatalf("build the bridge: %v\n%s", err, out)
	}
	cmd := exec.Command(bridge, append([]string{"--listen=" + addr, "--identity=none", "--"}, serverArgs(t)...)...)
	cmd.Env = append(os.Environ(), "SLACK_BOT_TOKEN="+botToken, "SLACK_API_URL="+api+"/api/")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	awaitHealth(t, "http://"+addr+"/health")
	return session(t, &mcp.StreamableClientTransport{Endpoint: "http://" + addr + "/mcp"})
}

func awaitHealth(t *testing.T, url string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		res, err := http.Get(url)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-deadline:
			t.Fatalf("the bridge is not healthy: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func session(t *testing.T, transport mcp.Transport) *mcp.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(ctx, transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func callTool(t *testing.T, s *mcp.ClientSession, name string, args any) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, c := range result.Content {
		if tc, ok := c.(*mcp.TextContent); ok {
			text.WriteString(tc.Text)
		}
	}
	return text.String(), result.IsError
}

type channelList struct {
	Channels []struct{ ID, Name string } `json:"channels"`
	Next     string                      `json:"next_cursor"`
}

func listChannels(t *testing.T, s *mcp.ClientSession, args any) channelList {
	t.Helper()
	text, failed := callTool(t, s, "list_channels", args)
	var list channelList
	if err := json.Unmarshal([]byte(text), &list); err != nil || failed {
		t.Fatalf("list_channels: failed %v, %v: %s", failed, err, text)
	}
	return list
}

func TestListChannelsFollowsEveryPage(t *testing.T) {
	api := &webAPI{}
	srv := httptest.NewServer(api)
	defer srv.Close()
	s := connect(t, srv.URL, token)

	all := listChannels(t, s, map[string]any{})
	if len(all.Channels) != nChannels || all.Next != "" || all.Channels[449].Name != "channel-449" {
		t.Errorf("got %d channels, next %q; want %d and no cursor", len(all.Channels), all.Next, nChannels)
	}
	if got := api.listed.Load(); got != 3 {
		t.Errorf("Slack was asked %d times; want 3 pages", got)
	}

	first := listChannels(t, s, map[string]any{"limit": 250})
	if len(first.Channels) != 250 || first.Next == "" {
		t.Fatalf("limit 250: got %d channels, next %q", len(first.Channels), first.Next)
	}
	rest := listChannels(t, s, map[string]any{"cursor": first.Next})
	if len(rest.Channels) != 200 || rest.Channels[0].ID != "C250" {
		t.Errorf("the rest: got %d channels from %s; want 200 from C250", len(rest.Channels), rest.Channels[0].ID)
	}
}

func TestListChannelsWaitsWhereSlackLimits(t *testing.T) {
	api := &webAPI{}
	api.limited.Store(1)
	srv := httptest.NewServer(api)
	defer srv.Close()
	if got := listChannels(t, connect(t, srv.URL, token), map[string]any{"limit": 5}); len(got.Channels) != 5 {
		t.Errorf("got %d channels after one 429; want 5", len(got.Channels))
	}
}

func TestSendMessage(t *testing.T) {
	srv := httptest.NewServer(&webAPI{})
	defer srv.Close()
	s := connect(t, srv.URL, token)
	text, failed := callTool(t, s, "send_message", map[string]any{"channel": "C1", "message": "hello"})
	if failed || !strings.Contains(text, "1700000000.000100") {
		t.Errorf("failed %v: %s; want the message's ts", failed, text)
	}
	text, failed = callTool(t, s, "send_message", map[string]any{"channel": "C404", "message": "hello"})
	if !failed || !strings.Contains(text, "channel_not_found") {
		t.Errorf("failed %v: %s; want Slack's own word for the refusal", failed, text)
	}
}

func TestTokenIsNeverShown(t *testing.T) {
	srv := httptest.NewServer(&webAPI{})
	defer srv.Close()
	wrong := "xoxb-wrong-secret"
	text, failed := callTool(t, connect(t, srv.URL, wrong), "list_channels", map[string]any{})
	if !failed || !strings.Contains(text, "invalid_auth") || strings.Contains(text, wrong) {
		t.Errorf("failed %v: %s; want invalid_auth and no token", failed, text)
	}
}

func TestNoTokenStopsTheStart(t *testing.T) {
	argv := serverArgs(t)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "SLACK_BOT_TOKEN is not set") {
		t.Errorf("%v: %s; want exit 2 and one line naming SLACK_BOT_TOKEN", err, out)
	}
}

// With a folder of credentials the server is the user, by the token that lies
// there now; the bot never stands in.
func TestTheUsersOwnTokenIsReadAnew(t *testing.T) {
	api := &webAPI{}
	srv := httptest.NewServer(api)
	defer srv.Close()
	dir := t.TempDir()
	cmd := exec.Command(serverArgs(t)[0], serverArgs(t)[1:]...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "CREDENTIALS_DIRECTORY=" + dir, "SLACK_BOT_TOKEN=" + token,
		"SLACK_API_URL=" + srv.URL + "/api/",
	}
	s := session(t, &mcp.CommandTransport{Command: cmd})
	message := map[string]any{"channel": "C1", "message": "hello"}
	if text, failed := callTool(t, s, "send_message", message); !failed || !strings.Contains(text, "connect Slack") {
		t.Errorf("without a token of the user's: failed %v: %s", failed, text)
	}
	for _, own := range []string{"xoxp-one", "xoxp-two"} {
		api.own.Store(own)
		if err := os.WriteFile(filepath.Join(dir, "slack-token"), []byte(own), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, failed := callTool(t, s, "send_message", message); failed {
			t.Errorf("with %s: %s", own, text)
		}
	}
}
