package connect_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/bridge/internal/rpc"
)

// onlyModern refuses what began a session in the older eras.
func onlyModern(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if m, err := rpc.Parse(body); err == nil && m.Method == "initialize" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write((&rpc.Error{Code: -32022, Message: "Unsupported protocol version"}).Body(m.ID()))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
	})
}

// TestEverythingPasses: whatever era the client and the server speak, progress,
// questions, lists that change and subscriptions arrive.
func TestEverythingPasses(t *testing.T) {
	sse := func(s *mcp.Server) http.Handler {
		return mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return s }, nil)
	}
	plain := func(s *mcp.Server) http.Handler { return streamable(s, nil) }
	modern := func(s *mcp.Server) http.Handler { return streamable(s, &mcp.StreamableHTTPOptions{Stateless: true}) }
	for name, c := range map[string]struct {
		version, agreed string
		server          func(*mcp.Server) http.Handler
	}{
		"2025-11-25":                         {"2025-11-25", "2025-11-25", plain},
		"2025-03-26":                         {"2025-03-26", "2025-03-26", plain},
		"2026-07-28":                         {"2026-07-28", "2026-07-28", modern},
		"2024-11-05 over HTTP+SSE":           {"2024-11-05", "2024-11-05", sse},
		"a new client and an older server":   {"2026-07-28", "2025-11-25", plain},
		"a new client over HTTP+SSE":         {"2026-07-28", "2025-11-25", sse},
		"an older client and a newer server": {"2025-11-25", "2025-11-25", func(s *mcp.Server) http.Handler { return onlyModern(modern(s)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, h := everything(t), &heard{}
			session := connected(t, run(t, serve(t, c.server(server), nil), nil), c.version, h.options())
			if v := session.InitializeResult().ProtocolVersion; v != c.agreed {
				t.Errorf("they agreed on %s, want %s", v, c.agreed)
			}
			if said := call(t, session, "count"); said != "counted" {
				t.Errorf("count = %q", said)
			}
			eventually(t, "progress", func() bool { return h.count(&h.progress) == 5 })
			if said := call(t, session, "ask"); said != "accept model 1" {
				t.Errorf("ask = %q", said)
			}
			if err := session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "test://one"}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "an update of the resource", func() bool {
				call(t, session, "touch")
				return h.count(&h.updated) > 0
			})
			call(t, session, "grow")
			eventually(t, "a changed list", func() bool { return h.count(&h.tools) > 0 })
			if said := call(t, session, "grown"); said != "grown" {
				t.Errorf("grown = %q", said)
			}
		})
	}
}
