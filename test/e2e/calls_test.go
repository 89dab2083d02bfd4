//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

func TestCallsToolsThroughTheGate(t *testing.T) {
	for user, want := range map[string]string{stack.Alice: "alice@example.com", stack.Bob: "bob@example.com"} {
		set := bearer(token(t, user))
		// What a client claims of itself must never arrive.
		set["X-User-Email"], set["X-User-Roles"], set["X-User-Assertion"] = "eve@example.com", "mcp-admin", "forged"
		c := client(set)
		for kind, transport := range map[string]mcp.Transport{
			"mcp": &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: c},
			"sse": &mcp.SSEClientTransport{Endpoint: gate.URL + "/sse", HTTPClient: c},
		} {
			t.Run(user+"/"+kind, func(t *testing.T) { drive(t, transport, want, user == stack.Bob) })
		}
	}
}

// drive does over one transport what a user of the demo server can do.
func drive(t *testing.T, transport mcp.Transport, email string, admin bool) {
	t.Helper()
	var mu sync.Mutex
	var steps []float64
	session := connect(t, transport, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			steps = append(steps, r.Params.Progress)
		},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"colour": "blue"}}, nil
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), sessionLife)
	defer cancel()
	tools, err := session.ListTools(ctx, nil)
	if err != nil || len(tools.Tools) != 4 {
		t.Fatalf("tools = %+v, %v; want 4", tools, err)
	}
	who := call(t, session, "whoami", nil)
	if !strings.Contains(who, email) || strings.Contains(who, "eve@") || strings.Contains(who, "mcp-admin") != admin {
		t.Errorf("whoami = %q, want %s and admin %v", who, email, admin)
	}
	params := &mcp.CallToolParams{Name: "countdown", Arguments: map[string]any{"from": 5, "pause_ms": 20}}
	params.SetProgressToken("t")
	if _, err := session.CallTool(ctx, params); err != nil {
		t.Fatal(err)
	}
	if said := call(t, session, "ask", nil); said != "your favourite colour is blue" {
		t.Errorf("ask = %q", said)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(steps) || len(steps) < 4 {
		t.Errorf("progress = %v, want 1 to 5 in order", steps)
	}
}

// call calls a tool and returns the text that it answered.
func call(t *testing.T, session *mcp.ClientSession, tool string, args map[string]any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), crowded*20*time.Second)
	defer cancel()
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	text, ok := res.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("%s answered %T, want text", tool, res.Content[0])
	}
	return text.Text
}

// open connects the official client to /mcp.
func open(t *testing.T, token string) *mcp.ClientSession {
	t.Helper()
	return connect(t, &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: client(bearer(token))}, nil)
}

// sessionLife is also that of an SSE stream. It holds what some clients do before
// the first call: npx fetches them, and a person signs in by a browser.
const sessionLife = 5 * time.Minute

// connect makes a session that ends with the test.
func connect(t *testing.T, transport mcp.Transport, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sessionLife)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, options).Connect(ctx, transport, nil)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = session.Close()
		cancel()
	})
	return session
}

// A client of HTTP/2 has the headers of a stream on which nothing is said yet:
// many wait for them before they go on.
func TestSilentStreamByHTTP2(t *testing.T) {
	c := client(bearer(token(t, stack.Alice)))
	post := func(session, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Mcp-Session-Id", session)
		res, err := c.Do(req)
		if err != nil || res.StatusCode/100 != 2 {
			t.Fatalf("%+v, %v", res, err)
		}
		_ = res.Body.Close()
		return res
	}
	session := post("", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",`+
		`"capabilities":{},"clientInfo":{"name":"e2e","version":"1"}}}`).Header.Get("Mcp-Session-Id")
	post(session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second) // before the bridge's first keepalive, after 15 s
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gate.URL+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Mcp-Session-Id", session)
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK {
		t.Errorf("%s %s", res.Proto, res.Status)
	}
}
