package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
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

// TestServersOfDifferentErasAreOne: one of 2024-11-05 beside one of 2026-07-28,
// each for clients of every era.
func TestServersOfDifferentErasAreOne(t *testing.T) {
	base, _ := startSeveral(t, []string{entryOf(elderName, ""), entryOf(modernName, "")})
	for _, era := range severalEras {
		t.Run(era, func(t *testing.T) {
			v := visit(t, base, era)
			tools := v.tools()
			for _, server := range []string{elderName, modernName} {
				v.all(server, tools)
			}
		})
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
	writeServers(t, path, entries...)
	return startFile(t, path, args...)
}

// writeServers makes the file of servers, in one step.
func writeServers(t *testing.T, path string, entries ...string) {
	t.Helper()
	text := `{"mcpServers": {` + strings.Join(entries, ",") + `}}`
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// startFile runs the program with a file of servers.
func startFile(t *testing.T, path string, args ...string) (base string, log *lockedLog) {
	t.Helper()
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

var severalEras = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}

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
			if era < "2026-07-28" { // which has none of these
				v.settles("a", "b", "c")
			}
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

// settles has what a client of the older eras tells its servers for good, and
// what they ask it beside elicitation.
func (v *visitor) settles(servers ...string) {
	v.t.Helper()
	if err := v.SetLoggingLevel(v.ctx, &mcp.SetLoggingLevelParams{Level: "info"}); err != nil {
		v.t.Errorf("the level: %v", err)
	}
	for _, server := range servers {
		if err := v.Subscribe(v.ctx, &mcp.SubscribeParams{URI: "test://" + server + "/one"}); err != nil {
			v.t.Errorf("subscribe: %v", err)
		}
	}
	for _, server := range servers {
		v.says(server+"__touch", "")
		v.hears("updated test://" + server + "/one")
		v.says(server+"__log", "a line")
		v.hears("log " + server + " a line")
		v.untilOne(server+"__sample", server+" was told re: "+server+" me")
	}
	for _, server := range servers[:2] { // a child of all sees nobody's roots
		v.untilOne(server+"__roots", server+" sees file:///of/"+v.InitializeResult().ProtocolVersion)
	}
	for _, server := range servers {
		if err := v.Unsubscribe(v.ctx, &mcp.UnsubscribeParams{URI: "test://" + server + "/one"}); err != nil {
			v.t.Errorf("unsubscribe: %v", err)
		}
	}
}

// isAsked is asked by a server.
func (v *visitor) isAsked(server string) {
	v.t.Helper()
	v.untilOne(server+"__ask", server+" was told re: "+server+" asks me")
}

// untilOne calls a tool that asks. A shared child may ask nobody for a second
// after another client's call.
func (v *visitor) untilOne(tool, want string) {
	v.t.Helper()
	for {
		got := v.says(tool, "me")
		switch {
		case got == want:
			return
		case v.ctx.Err() != nil || !strings.Contains(got, "no single client caused this request"):
			v.t.Errorf("%s: %q", tool, got)
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
// and a child that knows its user knows this one. The servers
// speak 2026-07-28 too, and are known to: so what one asks a client of it, it asks
// in the answer to the very call.
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
	for _, server := range []string{"a", "b", "c"} {
		_, token, _ := strings.Cut(lines[0], " ")
		visitAs(t, base+"/servers/"+server, "2026-07-28", token, "")
	}
	var all sync.WaitGroup
	for n := range 2 {
		for i, user := range users {
			for _, era := range severalEras {
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

// TestAnAnswerComesBackToWhereItWasAsked: that a server speaks 2026-07-28 may
// become known between a question and its answer.
func TestAnAnswerComesBackToWhereItWasAsked(t *testing.T) {
	base, _ := startSeveral(t, []string{entryOf("a", `, "gatehouse": {"identity": "required"}`), entryOf("b", "")})
	asked, known := make(chan struct{}), make(chan struct{})
	client := mcp.NewClient(&mcp.Implementation{Name: "asked", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			close(asked)
			<-known
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"word": "yes"}}, nil
		},
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: base + "/mcp"},
		&mcp.ClientSessionOptions{ProtocolVersion: "2026-07-28"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	got := make(chan string, 1)
	go func() {
		res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "a__ask", Arguments: sayArgs{Text: "me"}})
		if err != nil || len(res.Content) != 1 {
			got <- fmt.Sprintf("%+v, %v", res, err)
			return
		}
		got <- res.Content[0].(*mcp.TextContent).Text
	}()
	<-asked
	visit(t, base+"/servers/a", "2026-07-28").says("say", "hello")
	close(known)
	if told := <-got; told != "a was told yes" {
		t.Errorf("the call ends with %q", told)
	}
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
	base, _ := startSeveral(t, []string{entryOf("a", ""), entryOf("b", ""), entryOf("c", "")},
		"--admin-listen", admin, "--list-time", "30s")
	first := visit(t, base, "2025-11-25").tools()
	if saysOf(first) != 3 {
		t.Fatalf("the first session is told %q", first)
	}
	// The bridge has asked a child of each server itself, and so has this session.
	before := map[string]int{"a": 2, "b": 2, "c": 2}
	eventually(t, "all is started that was to be", func() bool { return maps.Equal(childrenStarted(t, admin), before) })
	began := time.Now()
	v := visit(t, base, "2025-11-25")
	again := v.tools()
	t.Logf("a session and its list took %v", time.Since(began))
	if !slices.Equal(first, again) {
		t.Errorf("listed %q, then %q", first, again)
	}
	v.says("b__say", "hello") // by now whatever the list started is counted
	before["b"]++
	if after := childrenStarted(t, admin); !maps.Equal(before, after) {
		t.Errorf("started %v, want %v", after, before)
	}
}

// childrenStarted is the metric, by server, without the door itself, which has no
// name and starts for each session.
func childrenStarted(t *testing.T, admin string) map[string]int {
	t.Helper()
	res, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, _ := io.ReadAll(res.Body)
	started := map[string]int{}
	for line := range strings.Lines(string(page)) {
		var server string
		var n int
		_, err := fmt.Sscanf(line, "gatehouse_children_started_total{gatehouse_server=%q} %d", &server, &n)
		if err == nil && server != "" {
			started[server] = n
		}
	}
	return started
}
