package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"gatehouse/test/freeport"
)

// childMode makes this test binary the stdio server behind the bridge.
const childMode = "GATEHOUSE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(recordMode); path != "" && os.Getenv(childMode) != "" {
		recordChild(path)
		return
	}
	if name := os.Getenv(severalMode); name == taskName {
		serveTasks()
		return
	} else if name != "" {
		serveSeveral(name)
		return
	}
	if os.Getenv(childMode) != "" {
		serveChild()
		return
	}
	goleak.VerifyTestMain(m)
}

type sayArgs struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
}

func serveChild() {
	server := mcp.NewServer(&mcp.Implementation{Name: "child", Version: "1"}, nil)
	mcp.AddTool(
		server,
		&mcp.Tool{Name: "say"},
		func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (*mcp.CallToolResult, any, error) {
			for i := range a.Count {
				err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
					ProgressToken: r.Params.GetProgressToken(), Progress: float64(i), Message: a.Text,
				})
				if err != nil {
					return nil, nil, err
				}
			}
			text := fmt.Sprintf("%s pid=%d user=%s", a.Text, os.Getpid(), os.Getenv("MCP_USER_ID"))
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		},
	)
	addModernTools(server)
	_ = server.Run(context.Background(), &mcp.StdioTransport{})
}

// start runs the program on a free port until the test ends.
func start(t *testing.T, args ...string) (base string) {
	t.Helper()
	return startBefore(t, os.Args[0], args...)
}

// startBefore is start with another stdio server.
func startBefore(t *testing.T, server string, args ...string) (base string) {
	t.Helper()
	return startArgs(t, append(args, "--", server)...)
}

// startArgs is start with nothing added but where to listen.
func startArgs(t *testing.T, args ...string) (base string) {
	t.Helper()
	addr := freeport.Addr(t)
	t.Setenv(childMode, "1")
	ctx, stop := context.WithCancel(context.Background())
	var log bytes.Buffer
	code := make(chan int, 1)
	all := append([]string{"--listen", addr}, args...)
	go func() { code <- run(ctx, all, io.Discard, &log) }()
	t.Cleanup(func() {
		stop()
		if got := <-code; got != exitOK {
			t.Errorf("bridge ended with %d\n%s", got, log.String())
		}
		http.DefaultClient.CloseIdleConnections()
	})
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if res, err := http.Get("http://" + addr + "/health"); err == nil {
			_ = res.Body.Close()
			return "http://" + addr
		}
	}
	t.Fatal("bridge does not answer")
	return ""
}

// eventually waits for a condition, a minute at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("not in a minute: %s", what)
}

// call opens a session of its own and asks the child to say text.
func call(ctx context.Context, transport mcp.Transport, text string, progress int) error {
	var mu sync.Mutex
	var heard []string
	progressed := make(chan struct{}, 1)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprintf("%v %s", r.Params.Progress, r.Params.Message))
			select {
			case progressed <- struct{}{}:
			default: // it is known
			}
		},
	})
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer session.Close()
	params := &mcp.CallToolParams{Name: "say", Arguments: sayArgs{Text: text, Count: progress}}
	params.SetProgressToken("one-for-all") // the same in every session
	for range 3 {
		res, err := session.CallTool(ctx, params)
		if err != nil {
			return fmt.Errorf("call: %w", err)
		}
		if got := res.Content[0].(*mcp.TextContent).Text; !strings.HasPrefix(got, text+" ") {
			return fmt.Errorf("answer %q belongs to another than %q", got, text)
		}
	}
	select {
	case <-progressed: // the client hands it on beside the answers
	case <-ctx.Done():
		return errors.New("no progress was heard")
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range heard {
		if !strings.HasSuffix(line, " "+text) {
			return fmt.Errorf("progress %q belongs to another than %q", line, text)
		}
	}
	return nil
}

func TestNoAnswerReachesAnother(t *testing.T) {
	for _, isolation := range []string{"session", "user", "shared"} {
		t.Run(isolation, func(t *testing.T) {
			base := start(t, "--isolation", isolation)
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			var wg sync.WaitGroup
			for i := range 12 {
				transports := map[string]mcp.Transport{
					"sse": &mcp.SSEClientTransport{Endpoint: base + "/sse", HTTPClient: client},
					"mcp": &mcp.StreamableClientTransport{Endpoint: base + "/mcp", HTTPClient: client},
				}
				for kind, transport := range transports {
					wg.Go(func() {
						if err := call(ctx, transport, fmt.Sprintf("%s-%d", kind, i), 3); err != nil {
							t.Errorf("%s %d: %v", kind, i, err)
						}
					})
				}
			}
			wg.Wait()
		})
	}
}

func TestUsage(t *testing.T) {
	cases := map[string]struct {
		args []string
		says string
	}{
		"no server": {[]string{}, "no server"},
		"two ways":  {[]string{"--config", "x", "--", "cat"}, "keep one"},
		"no such command": {
			[]string{"--", "no-such-program"},
			`"no-such-program" cannot be started: executable file not found in $PATH`,
		},
		"no such path":    {[]string{"--cwd", "/nowhere", "--", "./server"}, `"./server" cannot be started`},
		"env of a file":   {[]string{"--config", "x", "--env", "A=b"}, "write cwd and env into the entry"},
		"half a variable": {[]string{"--env", "A", "--", "cat"}, `--env "A": write NAME=VALUE`},
		"none on all":     {[]string{"--listen", "0.0.0.0:0", "--", "cat"}, "or say --allow-anyone"},
		"anyone, but signed": {
			[]string{"--allow-anyone", "--identity", "token", "--token-file", "x", "--", "cat"},
			"--allow-anyone is for",
		},
		"no keys":           {[]string{"--identity", "signed", "--", "cat"}, "--identity-keys"},
		"no tokens":         {[]string{"--identity", "token", "--", "cat"}, "--token-file FILE"},
		"tokens for nobody": {[]string{"--token-file", "x", "--", "cat"}, "--token-file x is for --identity token"},
		"unreadable tokens": {[]string{"--identity", "token", "--token-file", "/nonexistent", "--", "cat"}, "/nonexistent"},
		"two addresses":     {[]string{"--port", "1", "--listen", "127.0.0.1:2", "--", "cat"}, "keep one"},
		"no port":           {[]string{"--port", "70000", "--", "cat"}, "--port 70000"},
		"bad node":          {[]string{"--node", "A.b", "--", "cat"}, `--node "A.b"`},
		"bad prefix":        {[]string{"--public-prefix", "a/", "--", "cat"}, "--public-prefix"},
		"bad path":          {[]string{"--mcp-path", "mcp", "--", "cat"}, `--mcp-path "mcp"`},
		"a path twice": {
			[]string{"--sse-path", "/a", "--mcp-path", "/a", "--", "cat"},
			"--mcp-path /a is also given as --sse-path",
		},
		"another's path": {[]string{"--mcp-path", "/servers/a", "--", "cat"}, "belong to --config"},
		"no header":      {[]string{"--header", "X", "--", "cat"}, `--header "X"`},
		"two lines":      {[]string{"--header", "X: a\r\nY: b", "--", "cat"}, "is no header of HTTP"},
		"our own header": {[]string{"--header", "content-type: a", "--", "cat"}, "leave it out"},
		"half a command": {[]string{"policy"}, "bridge policy check FILE"},
		"another half":   {[]string{"policy", "chek", "x"}, "bridge policy check FILE"},
		"no health page": {[]string{"health"}, "bridge health URL"},
		"unknown flag":   {[]string{"--nope"}, "--nope"},
		"bad bound":      {[]string{"--max-calls", "0", "--", "cat"}, "--max-calls"},
		"warm for users": {[]string{"--warm", "2", "--isolation", "user", "--", "cat"},
			"--warm 2 works only with --isolation session and --identity none (here user and none)"},
		"warm and shared": {[]string{"--warm", "2", "--isolation", "shared", "--", "cat"}, "(here shared and none)"},
		"warm and signed": {[]string{"--warm", "2", "--identity", "signed", "--identity-keys",
			"http://127.0.0.1:4181/internal/keys", "--", "cat"}, "(here session and signed)"},
		"all asleep": {[]string{"--sleep", "5m", "--isolation", "shared", "--", "cat"},
			"--sleep 5m0s must be 0 or more, and 0 with --isolation shared"},
		"profiles nowhere": {[]string{"--pprof", "--", "cat"}, "--pprof needs --admin-listen"},
		"less than none":   {[]string{"--warm=-1", "--", "cat"}, "--warm -1 must be 0 or more"},
		"bad URL": {
			[]string{"--identity", "signed", "--identity-keys", "keys", "--", "cat"},
			`--identity-keys "keys"`,
		},
		"unreadable config": {[]string{"--config", "/nonexistent.json"}, "/nonexistent.json"},
		"unreadable policy": {[]string{"--policy", "/nonexistent.yaml", "--", "cat"}, "/nonexistent.yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run(context.Background(), tc.args, io.Discard, &stderr); code != exitUsage {
				t.Errorf("exit %d, want %d", code, exitUsage)
			}
			if !strings.Contains(stderr.String(), tc.says) {
				t.Errorf("it says %q, want %q", stderr.String(), tc.says)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	base := start(t)
	cases := map[string]struct {
		method, path, body string
		header             map[string]string
		want               int
	}{
		"foreign origin": {"POST", "/mcp", `{}`, map[string]string{"Origin": "https://evil.example"}, 403},
		"rebound host":   {"POST", "/mcp", `{}`, map[string]string{"Host": "evil.example"}, 403},
		"no session":     {"POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, nil, 400},
		"unknown session": {
			"POST",
			"/mcp",
			`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
			map[string]string{"Mcp-Session-Id": "abcdefgh.abcdefghijklmnopqrstuvwxyz"},
			404,
		},
		"not JSON":           {"POST", "/mcp", `{`, nil, 400},
		"unknown SSE client": {"POST", "/message?sessionId=abcdefgh.abcdefghijklmnopqrstuvwxyz", `{}`, nil, 404},
		"unknown path":       {"GET", "/nothing", "", nil, 404},
		"wrong method":       {"PUT", "/mcp", `{}`, nil, 405},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(tc.method, base+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			for k, v := range tc.header {
				req.Header.Set(k, v)
			}
			req.Host = tc.header["Host"]
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != tc.want || !bytes.HasPrefix(body, []byte(`{"jsonrpc":"2.0"`)) {
				t.Errorf("status %d, body %s; want %d and a JSON-RPC error", res.StatusCode, body, tc.want)
			}
		})
	}
}
