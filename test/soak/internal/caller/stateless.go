package caller

import "context"

// stateless is a client of 2026-07-28: each request stands alone.
type stateless struct{ *web }

func (s *stateless) Open(context.Context) error { return nil }
func (s *stateless) Stream() <-chan struct{}    { return nil }
func (s *stateless) Close()                     { s.http.CloseIdleConnections() }

func (s *stateless) Call(ctx context.Context, a Ask) (r Reply, err error) {
	id, body := s.request("tools/call", a.params(map[string]any{
		"io.modelcontextprotocol/protocolVersion":    string(Stateless),
		"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "soak", "version": "1"},
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
	}), false)
	res, err := s.post(ctx, s.gate+"/mcp", body, map[string]string{
		"MCP-Protocol-Version": string(Stateless), "Mcp-Method": "tools/call", "Mcp-Name": a.Tool,
	})
	if err != nil {
		return r, err
	}
	_, err = s.read(ctx, res, id, &r, false)
	return r, err
}
