package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// firstCall goes the whole way once, through TLS with a real token: the demo's
// whoami, or the list of the tools of a server of one's own.
func firstCall(ctx context.Context, gate *stack.Stack, out io.Writer) error {
	token, err := gate.Token(ctx, stack.Alice)
	if err != nil {
		return err
	}
	client := gate.HTTPClient()
	client.Transport = bearer{client.Transport, token}
	session, err := connect(ctx, gate.URL+"/mcp", client, out)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	if session.InitializeResult().Capabilities.Tools == nil {
		_, _ = fmt.Fprintln(out, "initialize: the server answers; it has no tools")
		return nil
	}
	list, err := session.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(list.Tools))
	for _, tool := range list.Tools {
		if tool.Name == "whoami" {
			return whoami(ctx, session, out)
		}
		names = append(names, tool.Name)
	}
	_, _ = fmt.Fprintf(out, "tools/list: %d tools: %s\n", len(names), strings.Join(names, ", "))
	return nil
}

const (
	slowStart = 3 * time.Minute // npx and uvx fetch a server when it is started first
	pause     = 2 * time.Second
	notReady  = "Service Unavailable" // the client tells the words of the status alone
)

// connect opens a session. The bridge answers 503 for a server that is not ready
// after --start-time, and what it has fetched until then it need not fetch again.
func connect(ctx context.Context, url string, client *http.Client, out io.Writer) (*mcp.ClientSession, error) {
	for end, told := time.Now().Add(slowStart), false; ; {
		session, err := mcp.NewClient(&mcp.Implementation{Name: "make-run", Version: "1"}, nil).
			Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: client}, nil)
		if err == nil || !strings.Contains(err.Error(), notReady) || time.Now().After(end) {
			return session, err
		}
		if !told {
			told = true
			_, _ = fmt.Fprintf(out, "your server is not ready yet; trying again for %s (bridge.log has its words)\n", slowStart)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

func whoami(ctx context.Context, session *mcp.ClientSession, out io.Writer) error {
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		return err
	}
	for _, content := range res.Content {
		if said, ok := content.(*mcp.TextContent); ok {
			_, _ = fmt.Fprintf(out, "tools/call whoami: %s\n", said.Text)
		}
	}
	return nil
}

type bearer struct {
	next  http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}
