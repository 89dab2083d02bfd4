package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

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
	session, err := mcp.NewClient(&mcp.Implementation{Name: "make-run", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: client}, nil)
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
