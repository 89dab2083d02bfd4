package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
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
	tool("sample", func(ctx context.Context, r *mcp.CallToolRequest, a sayArgs) (string, error) {
		got, err := r.Session.CreateMessage(ctx, &mcp.CreateMessageParams{ //nolint:staticcheck // older clients have it
			MaxTokens: 1, SystemPrompt: name + " " + a.Text, Messages: []*mcp.SamplingMessage{},
		})
		if err != nil {
			return "", err
		}
		return name + " was told " + got.Model, nil
	})
	tool("roots", func(ctx context.Context, r *mcp.CallToolRequest, _ sayArgs) (string, error) {
		got, err := r.Session.ListRoots(ctx, nil) //nolint:staticcheck // older clients have it
		if err != nil || len(got.Roots) != 1 {
			return "", fmt.Errorf("%+v, %w", got, err)
		}
		return name + " sees " + got.Roots[0].URI, nil
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
	server.AddReceivingMiddleware(ofOneEra(name))
	_ = server.Run(context.Background(), &mcp.StdioTransport{})
}

// Names of servers that speak one era alone.
const (
	elderName  = "elder"  // 2024-11-05
	modernName = "modern" // 2026-07-28
)

func ofOneEra(name string) mcp.Middleware {
	no := &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "of another era"}
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			if name == modernName && method == "initialize" || name == elderName && method == "server/discover" {
				return nil, no
			}
			result, err := next(ctx, method, r)
			if init, ok := result.(*mcp.InitializeResult); ok && name == elderName {
				init.ProtocolVersion = "2024-11-05"
			}
			return result, err
		}
	}
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
