// Demo is a stdio MCP server that shows what the gate gives to a server: who
// calls, progress on the way, and a question back to the person.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "gatehouse-demo", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Tells who the gate says you are."}, whoami)
	mcp.AddTool(server, &mcp.Tool{Name: "add", Description: "Adds two numbers."}, add)
	mcp.AddTool(
		server,
		&mcp.Tool{Name: "countdown", Description: "Counts down, with a progress notification at each step."},
		countdown,
	)
	mcp.AddTool(server, &mcp.Tool{Name: "ask", Description: "Asks you for your favourite colour (elicitation)."}, ask)
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func text(format string, args ...any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf(format, args...)}}}
}

type identity struct {
	ID    string   `json:"id"`
	Email string   `json:"email"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
}

func whoami(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, identity, error) {
	id := identity{
		ID: os.Getenv("MCP_USER_ID"), Email: os.Getenv("MCP_USER_EMAIL"),
		Name: os.Getenv("MCP_USER_NAME"), Roles: []string{},
	}
	if roles := os.Getenv("MCP_USER_ROLES"); roles != "" {
		id.Roles = strings.Split(roles, ",")
	}
	if id.ID == "" {
		return text("nobody in particular: this server was given no identity"), id, nil
	}
	return text("%s <%s>, roles %s%s", id.Name, id.Email, strings.Join(id.Roles, " "), credentials()), id, nil
}

// credentials tells which of the caller's own this child has, and of each only
// how long it is.
func credentials() (has string) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return ""
	}
	files, _ := os.ReadDir(dir)
	for _, file := range files {
		if info, err := file.Info(); err == nil {
			has += fmt.Sprintf(", credential %s of %d bytes", file.Name(), info.Size())
		}
	}
	return has
}

type operands struct {
	A float64 `json:"a"`
	B float64 `json:"b"`
}

func add(_ context.Context, _ *mcp.CallToolRequest, in operands) (*mcp.CallToolResult, any, error) {
	return text("%v", in.A+in.B), nil, nil
}

type steps struct {
	From    int `json:"from" jsonschema:"1 to 100"`
	PauseMs int `json:"pause_ms,omitempty" jsonschema:"milliseconds between two steps, at most 1000"`
}

func countdown(ctx context.Context, r *mcp.CallToolRequest, in steps) (*mcp.CallToolResult, any, error) {
	if in.From < 1 || in.From > 100 || in.PauseMs < 0 || in.PauseMs > 1000 {
		return nil, nil, fmt.Errorf("from is 1 to 100 and pause_ms 0 to 1000, not %d and %d", in.From, in.PauseMs)
	}
	token := r.Params.GetProgressToken()
	for left := in.From; left > 0; left-- {
		if token != nil {
			err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
				ProgressToken: token, Progress: float64(in.From - left + 1), Total: float64(in.From), Message: fmt.Sprint(left),
			})
			if err != nil {
				return nil, nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(time.Duration(in.PauseMs) * time.Millisecond):
		}
	}
	return text("lift-off"), nil, nil
}

// ask returns the question as an input request (2026-07-28); the SDK itself puts
// it to a client of an older version and calls again with the answer.
func ask(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	const question = "colour"
	answer, ok := r.Params.InputResponses[question].(*mcp.ElicitResult)
	if !ok {
		return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{question: &mcp.ElicitParams{
			Message: "What is your favourite colour?",
			RequestedSchema: map[string]any{
				"type": "object", "properties": map[string]any{"colour": map[string]any{"type": "string"}},
				"required": []string{"colour"},
			},
		}}}, nil, nil
	}
	if answer.Action != "accept" {
		return text("you chose %s", answer.Action), nil, nil
	}
	return text("your favourite colour is %v", answer.Content["colour"]), nil, nil
}
