package stateless

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

const maxToolPages = 32

// known is what need not be asked of a child twice.
type known struct {
	server translate.Server
	modern bool

	mu    sync.RWMutex
	tools map[string][]translate.ParamHeader // which arguments a tool wants mirrored in headers
}

// knownChildren remembers each child while it lives.
type knownChildren struct {
	mu    sync.RWMutex
	conns map[*mux.Conn]*known
}

func newKnownChildren() *knownChildren {
	return &knownChildren{conns: map[*mux.Conn]*known{}}
}

func (c *knownChildren) get(conn *mux.Conn) *known {
	c.mu.RLock()
	k := c.conns[conn]
	c.mu.RUnlock()
	if k == nil {
		k = c.meet(conn)
	}
	return k
}

func (c *knownChildren) meet(conn *mux.Conn) *known {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.conns[conn]; k != nil {
		return k
	}
	ready := conn.Ready()
	k := &known{server: describe(ready), modern: ready.Modern}
	c.conns[conn] = k
	go func() {
		<-conn.Done()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.conns, conn)
	}()
	return k
}

// describe reads either kind of self-description; one that cannot be read
// announces nothing.
func describe(ready mux.Ready) translate.Server {
	read := translate.FromInitialize
	if ready.Modern {
		read = translate.FromDiscover
	}
	server, err := read(ready.Result)
	if err != nil {
		return translate.Server{}
	}
	return server
}

// checkParams compares the Mcp-Param headers of a tool call with its arguments. A
// tool that is not known yet, or whose headers seem wrong, is looked up once
// more: servers add tools and change them.
func (k *known) checkParams(ctx context.Context, conn *mux.Conn, req *translate.Request, h http.Header) *rpc.Error {
	if req.Method != rpc.CallTool {
		return nil
	}
	name, _ := req.Params.Text("name")
	if params, ok := k.tool(name); ok && req.CheckParams(h, params) == nil {
		return nil
	}
	tools := list(ctx, conn)
	k.mu.Lock()
	k.tools = tools
	k.mu.Unlock()
	return req.CheckParams(h, tools[name])
}

func (k *known) tool(name string) ([]translate.ParamHeader, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	params, ok := k.tools[name]
	return params, ok
}

// list asks the child for its tools, all pages. What cannot be had has no
// annotations: the call itself then tells what is wrong.
func list(ctx context.Context, conn *mux.Conn) map[string][]translate.ParamHeader {
	tools := map[string][]translate.ParamHeader{}
	var cursor json.RawMessage
	for range maxToolPages {
		result, ok := ask(ctx, conn, rpc.ListTools, cursor)
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
func ask(ctx context.Context, conn *mux.Conn, method string, cursor json.RawMessage) (json.RawMessage, bool) {
	queue := event.NewQueue(64 << 20)
	link, err := conn.Link(mux.LinkOptions{Standing: queue})
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
