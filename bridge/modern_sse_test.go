package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// addModernTools adds what a client of 2026-07-28 meets: a result that needs
// input first, and a tool that comes later.
func addModernTools(server *mcp.Server) {
	mcp.AddTool(
		server,
		&mcp.Tool{Name: "who"},
		func(_ context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			answer, ok := r.Params.InputResponses["name"].(*mcp.ElicitResult)
			if !ok {
				return &mcp.CallToolResult{
					RequestState:  "asked",
					InputRequests: mcp.InputRequestMap{"name": &mcp.ElicitParams{Message: "who?"}},
				}, nil, nil
			}
			text := r.Params.RequestState + " " + answer.Action
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		},
	)
	mcp.AddTool(
		server,
		&mcp.Tool{Name: "grow"},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			mcp.AddTool(
				server,
				&mcp.Tool{Name: "grown"},
				func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
					return &mcp.CallToolResult{}, nil, nil
				},
			)
			return &mcp.CallToolResult{}, nil, nil
		},
	)
}

// TestAModernClientOverSSE: the SDK's client speaks 2026-07-28 on /sse, which
// is older. It begins with server/discover and never sends initialize.
func TestAModernClientOverSSE(t *testing.T) {
	base := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changed := make(chan struct{}, 10)
	client := mcp.NewClient(&mcp.Implementation{Name: "modern", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} },
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if r.Params.Message != "who?" {
				t.Errorf("asked %q", r.Params.Message)
			}
			return &mcp.ElicitResult{Action: "decline"}, nil
		},
	})
	web := &http.Client{Transport: &http.Transport{}}
	defer web.CloseIdleConnections()
	session, err := client.Connect(ctx, &mcp.SSEClientTransport{Endpoint: base + "/sse", HTTPClient: web}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if version := session.InitializeResult().ProtocolVersion; version != "2026-07-28" {
		t.Fatalf("the session speaks %q", version)
	}
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "who"})
	if err != nil || len(res.Content) != 1 || res.Content[0].(*mcp.TextContent).Text != "asked decline" {
		t.Fatalf("the call that needs input: %+v, %v", res, err)
	}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "grow"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-ctx.Done():
		t.Fatal("the subscription tells nothing of the new tool")
	}
	tools, err := session.ListTools(ctx, nil)
	if err != nil || len(tools.Tools) != 4 {
		t.Errorf("tools %+v, %v", tools, err)
	}
}

// TestAModernClientOverSSEOnASharedChild: a child of many was initialised by
// the bridge, so the client is answered cleanly and speaks what is left.
func TestAModernClientOverSSEOnASharedChild(t *testing.T) {
	for _, isolation := range []string{"user", "shared"} {
		t.Run(isolation, func(t *testing.T) {
			base := start(t, "--isolation", isolation)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			web := &http.Client{Transport: &http.Transport{}}
			defer web.CloseIdleConnections()
			if err := call(ctx, &mcp.SSEClientTransport{Endpoint: base + "/sse", HTTPClient: web}, "mine", 3); err != nil {
				t.Error(err)
			}
		})
	}
}
