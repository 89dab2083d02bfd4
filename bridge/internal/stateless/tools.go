package stateless

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/translate"
)

const maxToolPages = 32

// toolCache remembers which arguments the tools of a child want mirrored in
// headers, so that the headers of a call can be checked against its body.
type toolCache struct {
	mu    sync.Mutex
	conns map[*session.Conn]map[string][]translate.ParamHeader
}

func newToolCache() *toolCache {
	return &toolCache{conns: map[*session.Conn]map[string][]translate.ParamHeader{}}
}

// check compares the Mcp-Param headers of a tool call with its arguments. A
// tool that is not known yet is looked up once more: servers add tools.
func (c *toolCache) check(ctx context.Context, conn *session.Conn, req *translate.Request, h http.Header) *translate.Error {
	if req.Method != translate.CallTool {
		return nil
	}
	name, _ := req.Params.Text("name")
	params, known := c.get(conn, name)
	if !known {
		c.put(conn, list(ctx, conn))
		params, _ = c.get(conn, name)
	}
	return req.CheckParams(h, params)
}

func (c *toolCache) get(conn *session.Conn, name string) ([]translate.ParamHeader, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	params, ok := c.conns[conn][name]
	return params, ok
}

func (c *toolCache) put(conn *session.Conn, tools map[string][]translate.ParamHeader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.conns[conn]; !ok {
		go func() { // forget it with the child
			<-conn.Done()
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.conns, conn)
		}()
	}
	c.conns[conn] = tools
}

// list asks the child for its tools, all pages. What cannot be had has no
// annotations: the call itself then tells what is wrong.
func list(ctx context.Context, conn *session.Conn) map[string][]translate.ParamHeader {
	tools := map[string][]translate.ParamHeader{}
	var cursor json.RawMessage
	for range maxToolPages {
		result, ok := ask(ctx, conn, translate.ListTools, cursor)
		if !ok {
			return tools
		}
		var page struct {
			Tools []struct {
				Name        string          `json:"name"`
				InputSchema json.RawMessage `json:"inputSchema"`
			} `json:"tools"`
			NextCursor json.RawMessage `json:"nextCursor"`
		}
		if json.Unmarshal(result, &page) != nil {
			return tools
		}
		for _, t := range page.Tools {
			tools[t.Name] = translate.ParamHeaders(t.InputSchema)
		}
		if cursor = page.NextCursor; cursor == nil || string(cursor) == "null" {
			return tools
		}
	}
	return tools
}

// ask makes a call of the bridge's own and waits for its result.
func ask(ctx context.Context, conn *session.Conn, method string, cursor json.RawMessage) (json.RawMessage, bool) {
	queue := session.NewQueue(64 << 20)
	link, err := conn.Link(session.LinkOptions{Standing: queue})
	if err != nil {
		return nil, false
	}
	defer link.Close()
	m, err := rpc.Parse(translate.OwnRequest(method, cursor, conn.Ready().Modern))
	if err != nil {
		return nil, false
	}
	if _, err := link.Call(ctx, &m, queue); err != nil {
		return nil, false
	}
	for {
		e, ok, err := queue.Pop()
		switch {
		case err != nil || e.Final && e.Failed:
			return nil, false
		case e.Final:
			message, err := translate.Parse(e.Bytes())
			return message.Get("result"), err == nil
		case ok:
			continue
		}
		select {
		case <-queue.Wake():
		case <-ctx.Done():
			return nil, false
		}
	}
}
