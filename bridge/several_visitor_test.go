package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

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
		CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			v.mine("the sampling", r.Params.SystemPrompt)
			return &mcp.CreateMessageResult{
				Model: "re: " + r.Params.SystemPrompt, Role: "assistant", Content: &mcp.TextContent{},
			}, nil
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
	client.AddRoots(&mcp.Root{URI: "file:///of/" + era})
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
