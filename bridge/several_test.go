package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
)

// severalMode names the server that this test binary is.
const severalMode = "GATEHOUSE_TEST_SEVERAL"

// serveSeveral has one of everything, each with the server's name in it.
func serveSeveral(name string) {
	server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, &mcp.ServerOptions{
		Instructions:       "I am " + name + ".",
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		CompletionHandler: func(_ context.Context, r *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			said := name + " completes " + r.Params.Ref.Name + r.Params.Ref.URI
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{said}}}, nil
		},
	})
	tool := func(called string, do func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (string, error)) {
		mcp.AddTool(server, &mcp.Tool{Name: called},
			func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (*mcp.CallToolResult, any, error) {
				said, err := do(ctx, r, a)
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: said}}}, nil, err
			})
	}
	tool("say", func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (string, error) {
		for i := range a.Count {
			_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
				ProgressToken: r.Params.GetProgressToken(), Progress: float64(i + 1), Message: name + " " + a.Text,
			})
		}
		return fmt.Sprintf("%s says %s to %s", name, a.Text, os.Getenv("MCP_USER_ID")), nil
	})
	tool(strings.Repeat("long", 20), func(context.Context, *mcp.CallToolRequest, sayArgs) (string, error) {
		return name + " has a long name", nil
	})
	tool("touch", func(ctx context.Context, _ *mcp.CallToolRequest, _ sayArgs) (string, error) {
		err := server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "test://" + name + "/one"})
		return "touched", err
	})
	tool("log", func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (string, error) {
		return "", r.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "warning", Logger: name, Data: a.Text})
	})
	mcp.AddTool(server, &mcp.Tool{Name: "ask"}, askTool(name))
	tool("grow", func(context.Context, *mcp.CallToolRequest, sayArgs) (string, error) {
		tool("grown", func(context.Context, *mcp.CallToolRequest, sayArgs) (string, error) { return "", nil })
		return "", nil
	})
	tool("hang", func(ctx context.Context, _ *mcp.CallToolRequest, _ sayArgs) (string, error) {
		<-ctx.Done()
		fmt.Fprintln(os.Stderr, name, "was cancelled")
		return "", ctx.Err()
	})
	server.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "who"}}},
		func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Description: name + " was asked for " + r.Params.Name}, nil
		})
	read := func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: "read by " + name}}}, nil
	}
	server.AddResource(&mcp.Resource{Name: "one", URI: "test://" + name + "/one"}, read)
	server.AddResource(&mcp.Resource{Name: "both", URI: "test://both"}, read)
	server.AddResourceTemplate(&mcp.ResourceTemplate{Name: "t", URITemplate: "test://" + name + "/of/{x}"}, read)
	_ = server.Run(context.Background(), &mcp.StdioTransport{})
}

// askTool asks in the way of the version that is spoken.
func askTool(name string) mcp.ToolHandlerFor[sayArgs, any] {
	return func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (*mcp.CallToolResult, any, error) {
		question := &mcp.ElicitParams{Message: name + " asks " + a.Text}
		answer, ok := r.Params.InputResponses["q"].(*mcp.ElicitResult)
		switch {
		case ok:
		case r.Session.InitializeParams() == nil || r.Session.InitializeParams().ProtocolVersion >= "2026-07-28":
			return &mcp.CallToolResult{
				RequestState: "asked", InputRequests: mcp.InputRequestMap{"q": question},
			}, nil, nil
		default:
			var err error
			if answer, err = r.Session.Elicit(ctx, question); err != nil {
				return nil, nil, err
			}
		}
		text := fmt.Sprintf("%s was told %v", name, answer.Content["word"])
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	}
}

// entryOf is a server of the configuration that this test binary is.
func entryOf(name, more string) string {
	command, _ := json.Marshal(os.Args[0])
	return fmt.Sprintf(`%q: {"command": %s, "env": {%q: "1", %q: %q}%s}`,
		name, command, childMode, severalMode, name, more)
}

// startSeveral runs the program with these entries.
func startSeveral(t *testing.T, entries []string, args ...string) (base string, log *lockedLog) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mcp.json")
	text := `{"mcpServers": {` + strings.Join(entries, ",") + `}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeport.Addr(t)
	ctx, stop := context.WithCancel(context.Background())
	log = &lockedLog{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"--listen", addr, "--config", path}, args...), io.Discard, log)
	}()
	t.Cleanup(func() {
		stop()
		if got := <-code; got != exitOK {
			t.Errorf("bridge ended with %d\n%s", got, log)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if res, err := http.Get("http://" + addr + "/health"); err == nil {
			_ = res.Body.Close()
			return "http://" + addr, log
		}
	}
	t.Fatalf("bridge does not answer\n%s", log)
	return "", nil
}

type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// visitor is a client of the whole, with what it heard.
type visitor struct {
	*mcp.ClientSession
	mark  string // of all that this one asks for; "" where nobody else is there
	t     *testing.T
	ctx   context.Context
	heard chan string
}

// visit opens a client of the era at base.
func visit(t *testing.T, base, era string) *visitor {
	t.Helper()
	return visitAs(t, base, era, "", "")
}

// tokened gives each request a token.
type tokened string

func (k tokened) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(k))
	return http.DefaultTransport.RoundTrip(r)
}

// visitAs is visit with a token, for one who is to hear nothing without the
// mark.
func visitAs(t *testing.T, base, era, token, mark string) *visitor {
	t.Helper()
	v := &visitor{t: t, mark: mark, heard: make(chan string, 1000)}
	var cancel context.CancelFunc
	v.ctx, cancel = context.WithTimeout(context.Background(), 60*time.Second)
	client := mcp.NewClient(&mcp.Implementation{Name: "visitor", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			v.mine("the question", r.Params.Message)
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"word": "re: " + r.Params.Message}}, nil
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			v.mine("progress", r.Params.Message)
			v.heard <- fmt.Sprintf("progress %v %s", r.Params.ProgressToken, r.Params.Message)
		},
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) {
			v.mine("a log line", fmt.Sprint(r.Params.Data))
			v.heard <- fmt.Sprintf("log %s %v", r.Params.Logger, r.Params.Data)
		},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { v.heard <- "tools changed" },
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			v.heard <- "updated " + r.Params.URI
		},
	})
	web := &http.Client{Transport: &http.Transport{}}
	if token != "" {
		web.Transport = tokened(token)
	}
	var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: base + "/mcp", HTTPClient: web}
	if era == "2024-11-05" {
		transport = &mcp.SSEClientTransport{Endpoint: base + "/sse", HTTPClient: web}
	}
	session, err := client.Connect(v.ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		t.Fatalf("%s: %v", era, err)
	}
	if got := session.InitializeResult().ProtocolVersion; got != era {
		t.Fatalf("the session speaks %q, not %q", got, era)
	}
	v.ClientSession = session
	t.Cleanup(func() {
		_ = session.Close()
		web.CloseIdleConnections()
		cancel()
	})
	return v
}

// says calls a tool and returns its text.
func (v *visitor) says(tool, text string) string {
	v.t.Helper()
	p := &mcp.CallToolParams{Name: tool, Arguments: sayArgs{Text: text, Count: 2}}
	p.SetProgressToken("of " + tool)
	res, err := v.CallTool(v.ctx, p)
	if err != nil || len(res.Content) != 1 {
		v.t.Fatalf("%s answered %+v, %v", tool, res, err)
	}
	return res.Content[0].(*mcp.TextContent).Text
}

// mine fails where something of another client came.
func (v *visitor) mine(what, text string) {
	if !strings.Contains(text, v.mark) {
		v.t.Errorf("%s of another came to %q: %q", what, v.mark, text)
	}
}

// hears waits for what was said.
func (v *visitor) hears(want string) {
	v.t.Helper()
	var also []string
	for {
		select {
		case got := <-v.heard:
			if got == want {
				return
			}
			also = append(also, got)
		case <-v.ctx.Done():
			v.t.Fatalf("never heard %q, but %q", want, also)
		}
	}
}

func (v *visitor) tools() (names []string) {
	v.t.Helper()
	list, err := v.ListTools(v.ctx, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

var severalEras = []string{"2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"}

// TestSeveralServersAreOne: in every era, each message reaches the server that
// it is for, under the server's own names, and what comes back reaches the call
// or the client that it is for.
func TestSeveralServersAreOne(t *testing.T) {
	base, log := startSeveral(t, []string{
		entryOf("a", ""), entryOf("b", `, "gatehouse": {"isolation": "user"}`),
		entryOf("c", `, "gatehouse": {"isolation": "shared"}`),
	})
	for _, era := range severalEras {
		t.Run(era, func(t *testing.T) {
			v := visit(t, base, era)
			init := v.InitializeResult()
			if init.ServerInfo == nil || init.ServerInfo.Name != "gatehouse" ||
				!strings.Contains(init.Instructions, "\n## a\nI am a.\n\n## b\nI am b.\n\n## c\nI am c.\n") {
				t.Errorf("it says of itself %+v, %q", init.ServerInfo, init.Instructions)
			}
			if init.Capabilities.Completions == nil || init.Capabilities.Resources == nil ||
				!init.Capabilities.Resources.Subscribe {
				t.Errorf("it can %+v", init.Capabilities)
			}
			tools := v.tools()
			for _, server := range []string{"a", "b", "c"} {
				v.all(server, tools)
			}
			v.readsBoth()
		})
	}
	if !strings.Contains(log.String(), "two servers list one resource") ||
		!strings.Contains(log.String(), "a name does not fit at /mcp") {
		t.Errorf("the log does not say it:\n%s", log)
	}
}

// all has everything of one server.
func (v *visitor) all(server string, tools []string) {
	v.t.Helper()
	long := slices.IndexFunc(tools, func(n string) bool { return strings.HasPrefix(n, server+"__longlong") })
	if long < 0 || len(tools[long]) != 64 {
		v.t.Fatalf("no long name of %s in %q", server, tools)
	}
	if got := v.says(tools[long], ""); got != server+" has a long name" {
		v.t.Errorf("%s: %q", tools[long], got)
	}
	if got := v.says(server+"__say", "hello"); !strings.HasPrefix(got, server+" says hello ") {
		v.t.Errorf("say: %q", got)
	}
	v.hears("progress of " + server + "__say " + server + " hello")
	v.isAsked(server)
	prompt, err := v.GetPrompt(v.ctx, &mcp.GetPromptParams{Name: server + "__greet"})
	if err != nil || prompt.Description != server+" was asked for greet" {
		v.t.Errorf("prompt %+v, %v", prompt, err)
	}
	for _, uri := range []string{"test://" + server + "/one", "test://" + server + "/of/anything"} {
		read, err := v.ReadResource(v.ctx, &mcp.ReadResourceParams{URI: uri})
		if err != nil || read.Contents[0].Text != "read by "+server {
			v.t.Errorf("%s: %+v, %v", uri, read, err)
		}
	}
	for ref, want := range map[*mcp.CompleteReference]string{
		{Type: "ref/prompt", Name: server + "__greet"}:              "greet",
		{Type: "ref/resource", URI: "test://" + server + "/of/{x}"}: "test://" + server + "/of/{x}",
	} {
		c, err := v.Complete(v.ctx, &mcp.CompleteParams{Ref: ref, Argument: mcp.CompleteParamsArgument{Name: "who"}})
		if err != nil || !slices.Equal(c.Completion.Values, []string{server + " completes " + want}) {
			v.t.Errorf("completion %+v, %v", c, err)
		}
	}
}

// isAsked is asked by a server. A shared child may ask nobody for a second after
// another client's call.
func (v *visitor) isAsked(server string) {
	v.t.Helper()
	for {
		got := v.says(server+"__ask", "me")
		switch {
		case got == server+" was told re: "+server+" asks me":
			return
		case v.ctx.Err() != nil || !strings.Contains(got, "no single client caused this request"):
			v.t.Errorf("ask: %q", got)
			return
		}
	}
}

func (v *visitor) readsBoth() {
	v.t.Helper()
	read, err := v.ReadResource(v.ctx, &mcp.ReadResourceParams{URI: "test://both"})
	if err != nil || read.Contents[0].Text != "read by a" {
		v.t.Errorf("both: %+v, %v", read, err)
	}
	list, err := v.ListResources(v.ctx, nil)
	if err != nil || len(list.Resources) != 4 {
		v.t.Errorf("resources %+v, %v", list, err)
	}
	templates, err := v.ListResourceTemplates(v.ctx, nil)
	if err != nil || len(templates.ResourceTemplates) != 3 {
		v.t.Errorf("templates %+v, %v", templates, err)
	}
	prompts, err := v.ListPrompts(v.ctx, nil)
	if err != nil || len(prompts.Prompts) != 3 || prompts.Prompts[0].Name != "a__greet" {
		v.t.Errorf("prompts %+v, %v", prompts, err)
	}
	if res, err := v.CallTool(v.ctx, &mcp.CallToolParams{Name: "d__say"}); err == nil {
		v.t.Errorf("a tool of no server answered %+v", res)
	}
	if res, err := v.CallTool(v.ctx, &mcp.CallToolParams{Name: "say"}); err == nil {
		v.t.Errorf("a tool without its server answered %+v", res)
	}
}

// TestNothingReachesAnotherThroughTheDoor: clients of several users, several of
// each in every version, at once on servers of each isolation. What comes to
// one is its own: answers, progress, log lines, questions and their answers,
// and a child that knows its user knows this one. Calls without a session are
// one client's where they are of one user, and the newest of them is asked (see
// mux.Conn.cause): each user has one such client here.
func TestNothingReachesAnotherThroughTheDoor(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	var lines []string
	users := []string{"alice", "bob"}
	for _, user := range users {
		lines = append(lines, user+" token-of-"+user+"-that-is-long-enough-to-be-one")
	}
	if err := os.WriteFile(tokens, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base, _ := startSeveral(t, []string{
		entryOf("a", ""), entryOf("b", `, "gatehouse": {"isolation": "user"}`),
		entryOf("c", `, "gatehouse": {"isolation": "shared"}`),
	}, "--identity", "token", "--token-file", tokens)
	var all sync.WaitGroup
	for n := range 2 {
		for i, user := range users {
			for _, era := range severalEras {
				if era == "2026-07-28" && n > 0 {
					continue
				}
				all.Go(func() {
					mark := fmt.Sprintf("<%s %s %d>", user, era, n)
					_, token, _ := strings.Cut(lines[i], " ")
					v := visitAs(t, base, era, token, mark)
					for round := range 3 {
						v.minds(user, fmt.Sprint(mark, round))
					}
				})
			}
		}
	}
	all.Wait()
}

// minds has something of each server, and looks whether it is its own.
func (v *visitor) minds(user, mark string) {
	for server, told := range map[string]string{"a": user, "b": user, "c": ""} {
		if got, want := v.says(server+"__say", mark), server+" says "+mark+" to "+told; got != want {
			v.t.Errorf("answer %q, want %q", got, want)
		}
		got := v.says(server+"__ask", mark)
		want := server + " was told re: " + server + " asks " + mark
		if got != want && (server == "a" || !strings.Contains(got, "no single client caused this request")) {
			v.t.Errorf("asked of %s: %q, want %q", server, got, want)
		}
	}
}

// TestANewSessionStartsNothing: what the servers listed to this user before is
// told from memory, however slowly they start.
func TestANewSessionStartsNothing(t *testing.T) {
	admin := freeport.Addr(t)
	base, _ := startSeveral(t, []string{entryOf("a", ""), entryOf("b", ""), entryOf("c", "")}, "--admin-listen", admin)
	started := func() []string { return childrenStarted(t, admin) }
	first := visit(t, base, "2025-11-25").tools()
	before := started()
	began := time.Now()
	again := visit(t, base, "2025-11-25").tools()
	t.Logf("a session and its list took %v", time.Since(began))
	if !slices.Equal(first, again) || len(again) == 0 {
		t.Errorf("listed %q, then %q", first, again)
	}
	if after := started(); !slices.Equal(before, after) {
		t.Errorf("started before %q, after %q", before, after)
	}
}

// childrenStarted are the lines of the metric, without that of the door itself,
// which has no name and starts for each session.
func childrenStarted(t *testing.T, admin string) (lines []string) {
	t.Helper()
	res, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, _ := io.ReadAll(res.Body)
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "gatehouse_children_started_total{") && !strings.Contains(line, `_server=""`) {
			lines = append(lines, line)
		}
	}
	return lines
}
