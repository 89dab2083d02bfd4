package caller

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sdk is the official client of Go.
type sdk struct {
	*web
	era     Era
	session *mcp.ClientSession
	cancel  context.CancelFunc
}

func (s *sdk) Open(ctx context.Context) error {
	s.refused.Store(0)
	var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: s.gate + "/mcp", HTTPClient: s.http}
	if s.era == SDKSSE {
		transport = &mcp.SSEClientTransport{Endpoint: s.gate + "/sse", HTTPClient: s.http}
	}
	living, cancel := context.WithCancel(context.Background()) // a stream lives as long as its context
	waiting := time.AfterFunc(patience, cancel)
	client := mcp.NewClient(&mcp.Implementation{Name: "soak", Version: "1"}, nil)
	session, err := client.Connect(living, transport, nil)
	if !waiting.Stop() {
		err = errors.Join(ErrSilent, err)
	}
	if err != nil {
		cancel()
		var cut *Cut
		err = named(ctx, err)
		if status := s.refused.Load(); errors.As(err, &cut) && status != 0 { // of a refused GET of /sse it says EOF
			return &Refused{Status: int(status), Text: err.Error()}
		}
		return err
	}
	s.session, s.cancel = session, cancel
	return nil
}

func (s *sdk) Call(ctx context.Context, a Ask) (r Reply, err error) {
	params := &mcp.CallToolParams{Name: a.Tool, Arguments: a.Args}
	if a.Token != "" {
		params.SetProgressToken(a.Token)
	}
	res, err := s.session.CallTool(ctx, params)
	if err != nil {
		return r, named(ctx, err)
	}
	for _, c := range res.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			r.Text += text.Text
		}
	}
	return r, nil
}

// named sorts the errors of the official client, which keeps little of what it
// was told: those of JSON-RPC and of HTTP's status are refusals by name.
func named(ctx context.Context, err error) error {
	var wire *jsonrpc.Error
	switch {
	case errors.Is(err, ErrSilent), errors.Is(err, ErrNoToken):
		return err
	case errors.As(err, &wire):
		return &Refused{Status: 200, Text: err.Error()}
	case ctx.Err() != nil:
		return errors.Join(ErrSilent, err)
	}
	for _, status := range []string{
		"Unauthorized", "Forbidden", "Not Found", "session not found", "session missing", "Too Many Requests", "Service Unavailable", "Bad Request",
	} {
		if strings.Contains(err.Error(), status) {
			return &Refused{Status: 0, Text: err.Error()}
		}
	}
	return &Cut{Err: err}
}

func (s *sdk) Stream() <-chan struct{} { return nil }

func (s *sdk) Close() {
	if s.session != nil {
		cancel := time.AfterFunc(goodbye, s.cancel) // its DELETE waits for nobody for ever
		_ = s.session.Close()
		cancel.Stop()
		s.cancel()
	}
	s.http.CloseIdleConnections()
	s.session = nil
}
