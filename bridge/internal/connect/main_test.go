package connect_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"gatehouse/bridge/internal/connect"
	"gatehouse/bridge/internal/connect/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the other end between two pipes.
type rig struct {
	in   *io.PipeWriter // to the connector
	out  *io.PipeReader
	log  *text
	done chan error
}

// text is a buffer that is read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func run(t *testing.T, url string, creds connect.Credentials) *rig {
	t.Helper()
	transport, err := outbound.Transport("")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{log: &text{}, done: make(chan error, 1)}
	c, err := connect.New(connect.Options{
		URL: url, Transport: transport, Credentials: creds, Header: http.Header{"X-Extra": {"given"}},
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	var in *io.PipeReader
	var out *io.PipeWriter
	in, r.in = io.Pipe()
	r.out, out = io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		r.done <- c.Run(ctx, in, out)
		_ = out.Close()
	}()
	t.Cleanup(func() {
		cancel()
		_ = r.out.Close()
		select {
		case <-r.done: //nolint:errcheck // how it ends is for the tests that end it
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
		transport.CloseIdleConnections()
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// connected is the official client on the rig's stdio.
func connected(t *testing.T, r *rig, version string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, o)
	client.AddRoots(&mcp.Root{Name: "home", URI: "file:///home"})
	session, err := client.Connect(
		t.Context(),
		&mcp.IOTransport{Reader: r.out, Writer: r.in},
		&mcp.ClientSessionOptions{ProtocolVersion: version},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func say(format string, args ...any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf(format, args...)}}}
}

// everything is a server with something of each kind.
func everything(t *testing.T) *mcp.Server {
	allow := func(context.Context, *mcp.SubscribeRequest) error { return nil }
	leave := func(context.Context, *mcp.UnsubscribeRequest) error { return nil }
	s := mcp.NewServer(
		&mcp.Implementation{Name: "everything", Version: "1"},
		&mcp.ServerOptions{SubscribeHandler: allow, UnsubscribeHandler: leave},
	)
	t.Cleanup(func() {
		for session := range s.Sessions() {
			_ = session.Close() // one that a test has cut off
		}
	})
	type none struct{}
	mcp.AddTool(
		s,
		&mcp.Tool{Name: "count"},
		func(ctx context.Context, r *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
			for i := range 5 {
				progress := &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i)}
				if err := r.Session.NotifyProgress(ctx, progress); err != nil {
					return nil, nil, err
				}
			}
			return say("counted"), nil, nil
		},
	)
	mcp.AddTool(
		s,
		&mcp.Tool{Name: "ask"},
		func(_ context.Context, r *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
			answer, ok := r.Params.InputResponses["q"].(*mcp.ElicitResult)
			if !ok {
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{
					"q": &mcp.ElicitParams{
						Message:         "?",
						RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}},
					},
					"s": &mcp.CreateMessageParams{MaxTokens: 1, Messages: []*mcp.SamplingMessage{}},
					"r": &mcp.ListRootsParams{},
				}}, nil, nil
			}
			model := ""
			switch sampled := r.Params.InputResponses["s"].(type) {
			case *mcp.CreateMessageResult:
				model = sampled.Model
			case *mcp.CreateMessageWithToolsResult:
				model = sampled.Model
			}
			roots, _ := r.Params.InputResponses["r"].(*mcp.ListRootsResult)
			return say("%s %s %d", answer.Action, model, len(roots.Roots)), nil, nil
		},
	)
	mcp.AddTool(
		s,
		&mcp.Tool{Name: "hang"},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		},
	)
	mcp.AddTool(
		s,
		&mcp.Tool{Name: "touch"},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
			return say("touched"), nil, s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "test://one"})
		},
	)
	mcp.AddTool(
		s,
		&mcp.Tool{Name: "grow"},
		func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
			mcp.AddTool(
				s,
				&mcp.Tool{Name: "grown"},
				func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
					return say("grown"), nil, nil
				},
			)
			return say("grew"), nil, nil
		},
	)
	s.AddResource(
		&mcp.Resource{Name: "one", URI: "test://one"},
		func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "test://one", Text: "1"}}}, nil
		},
	)
	return s
}

// heard counts what a client is told.
type heard struct {
	mu                                          sync.Mutex
	progress, tools, updated, elicited, sampled int
}

func (h *heard) note(n *int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*n++
}

func (h *heard) count(n *int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return *n
}

func (h *heard) options() *mcp.ClientOptions {
	return &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { h.note(&h.progress) },
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { h.note(&h.tools) },
		ResourceUpdatedHandler:      func(context.Context, *mcp.ResourceUpdatedNotificationRequest) { h.note(&h.updated) },
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			h.note(&h.elicited)
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{}}, nil
		},
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			h.note(&h.sampled)
			return &mcp.CreateMessageResult{Model: "model", Role: "assistant", Content: &mcp.TextContent{Text: "x"}}, nil
		},
	}
}

func call(t *testing.T, session *mcp.ClientSession, tool string) string {
	t.Helper()
	params := &mcp.CallToolParams{Name: tool, Arguments: map[string]any{}}
	params.SetProgressToken("token")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	res, err := session.CallTool(ctx, params)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if content, ok := res.Content[0].(*mcp.TextContent); ok && !res.IsError {
		return content.Text
	}
	t.Fatalf("%s: %+v", tool, res.Content[0])
	return ""
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// serve starts a server in front of which something stands.
func serve(t *testing.T, inner http.Handler, front func(inner http.Handler) http.Handler) string {
	t.Helper()
	h := inner
	if front != nil {
		h = front(inner)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func streamable(s *mcp.Server, o *mcp.StreamableHTTPOptions) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, o)
}

func listenAt(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
