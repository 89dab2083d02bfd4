package sse_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/sse"
)

func TestMain(m *testing.M) { fronttest.Main(m) }

// start serves the front as the bridge mounts it.
func start(t *testing.T, o fronttest.Options) *fronttest.Gate {
	t.Helper()
	return fronttest.Start(t, o, func(g *fronttest.Gate) http.Handler {
		f := &sse.Front{Table: g.Table, Server: g.Server, Prefix: "/tools", Open: &g.Open, Body: g.Body}
		mux := http.NewServeMux()
		mux.HandleFunc("/sse", f.Stream)
		mux.HandleFunc("/message", f.Message)
		return mux
	})
}

// client is one that has its endpoint.
type client struct {
	*fronttest.Stream
	t    *testing.T
	g    *fronttest.Gate
	post string
}

func open(t *testing.T, g *fronttest.Gate, headers ...string) *client {
	t.Helper()
	s := g.Listen(t, http.MethodGet, "/sse", "", headers...)
	e := s.Next()
	if e.Name != "endpoint" || e.ID != "" {
		t.Fatalf("the first event is %+v, want the endpoint", e)
	}
	return &client{s, t, g, strings.TrimPrefix(e.Data, "/tools")}
}

// send posts a message that must be taken.
func (c *client) send(body string, headers ...string) {
	c.t.Helper()
	if r := c.g.Do(c.t, http.MethodPost, c.post, body, headers...); r.Status != http.StatusAccepted || r.Body != "" {
		c.t.Fatalf("POST %.100s: %d %s, want 202 and no body", body, r.Status, r.Body)
	}
}
