package streamable_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/streamable"
	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) { fronttest.Main(m) }

var alice = &contract.Identity{Subject: "alice"}

func start(t *testing.T, o fronttest.Options) *fronttest.Gate {
	t.Helper()
	return fronttest.Start(t, o, func(g *fronttest.Gate) http.Handler {
		return &streamable.Front{Table: g.Table, Server: g.Server, Open: &g.Open, Body: g.Body}
	})
}

// startDual puts a front of 2026-07-28 beside it that tells what reached it.
func startDual(t *testing.T) *fronttest.Gate {
	t.Helper()
	return startDualOf(t, fronttest.Plain)
}

func startDualOf(t *testing.T, child string) *fronttest.Gate {
	t.Helper()
	return fronttest.Start(t, fronttest.Options{Child: child}, func(g *fronttest.Gate) http.Handler {
		return &streamable.Front{Table: g.Table, Server: g.Server, Modern: modern{}, Open: &g.Open, Body: g.Body}
	})
}

// modern tells what reached it.
type modern struct{}

func (modern) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "modern %s ", r.Method)
}

func (modern) Serve(w http.ResponseWriter, r *http.Request, m *rpc.Message, _ func(), _ error) {
	_, _ = fmt.Fprintf(w, "modern %s %s", r.Method, m.Line)
}

// client is one with a session.
type client struct {
	t       *testing.T
	g       *fronttest.Gate
	headers []string
}

// open opens a session of the version, for the child to agree to.
func open(t *testing.T, g *fronttest.Gate, version string, headers ...string) *client {
	t.Helper()
	r := g.Do(t, http.MethodPost, "/", fronttest.Initialize(version), headers...)
	id := r.Header.Get("Mcp-Session-Id")
	if r.Status != http.StatusOK || id == "" {
		t.Fatalf("initialize: %d %s", r.Status, r.Body)
	}
	c := &client{t, g, append(headers, "Mcp-Session-Id", id)}
	c.takes(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

func (c *client) id() string { return c.headers[len(c.headers)-1] }

func (c *client) do(method, body string, headers ...string) fronttest.Reply {
	c.t.Helper()
	return c.g.Do(c.t, method, "/", body, append(headers, c.headers...)...)
}

func (c *client) post(body string, headers ...string) fronttest.Reply {
	c.t.Helper()
	return c.do(http.MethodPost, body, headers...)
}

// takes posts what is no request.
func (c *client) takes(body string) {
	c.t.Helper()
	if r := c.post(body); r.Status != http.StatusAccepted || r.Body != "" {
		c.t.Fatalf("%s: %d %s, want 202 and no body", body, r.Status, r.Body)
	}
}

// stream posts what is answered by a stream.
func (c *client) stream(body string) *fronttest.Stream {
	c.t.Helper()
	return c.g.Listen(c.t, http.MethodPost, "/", body, c.headers...)
}

func (c *client) listen(headers ...string) *fronttest.Stream {
	c.t.Helper()
	return c.g.Listen(c.t, http.MethodGet, "/", "", append(headers, c.headers...)...)
}

// awaitHanging waits until a call hangs at the child.
func (c *client) awaitHanging() {
	c.t.Helper()
	fronttest.Eventually(c.t, "the call is at the child", func() bool {
		return strings.Contains(c.post(fronttest.Call(`"told"`, "told", "", 0)).Body, "hanging")
	})
}

// awaitSilence waits until the child has said all that it was to say. What it
// says meanwhile may come to the call that asks, and be too much for it.
func (c *client) awaitSilence() {
	c.t.Helper()
	fronttest.Eventually(c.t, "the child has said it all", func() bool {
		r, err := c.g.Try(http.MethodPost, "/", fronttest.Call(`"silence"`, "echo", "", 0), c.headers...)
		return err == nil && strings.HasPrefix(r.Body, `{"jsonrpc":"2.0","id":"silence","result":`)
	})
}
