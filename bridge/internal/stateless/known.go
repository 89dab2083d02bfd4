package stateless

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

const maxToolPages = 32

// relist is how soon a list may be asked for again where the child did not say
// that it changed: not every server says so.
const (
	relist       = 30 * time.Second
	toolsChanged = "notifications/tools/list_changed"
)

// known is what need not be asked of a child twice.
type known struct {
	server translate.Server
	modern bool

	mu      sync.Mutex
	tools   map[string]tool
	listed  time.Time     // when; zero where the list changed since
	listing chan struct{} // closed when the one under way is over
}

// tool is what the list says of one that matters here.
type tool struct {
	params     []translate.ParamHeader // which arguments it wants mirrored in headers
	repeatable bool                    // a second run does no harm (server/tools, "ToolAnnotations")
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
	_, _ = conn.Link(mux.LinkOptions{Standing: k}) // a child that is gone changes nothing
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

// Push implements event.Sink: it hears what the child says to all.
func (k *known) Push(e event.Event) bool {
	if e.Method == toolsChanged {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.listed = time.Time{}
	}
	return true
}

var errUnlisted = errors.New("the tool is not on the list that is known")

// checkParams compares the Mcp-Param headers of a tool call with its arguments.
func (k *known) checkParams(req *translate.Request, h http.Header) error {
	if req.Method != rpc.CallTool {
		return nil
	}
	name, _ := req.Params.Text("name")
	k.mu.Lock()
	tool, ok := k.tools[name]
	k.mu.Unlock()
	if err := req.CheckParams(h, tool.params); err != nil {
		return err
	}
	if !ok {
		return errUnlisted
	}
	return nil
}

// repeatable tells whether the server says that a second run of the tool does no
// more than the first.
func (k *known) repeatable(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tools[name].repeatable
}

// learn lists the tools anew where they may have changed. All who come
// meanwhile wait for one list, which goes on when its first caller is gone.
func (k *known) learn(ctx context.Context, conn *mux.Conn) {
	k.mu.Lock()
	if !k.listed.IsZero() && time.Since(k.listed) < relist {
		k.mu.Unlock()
		return
	}
	if k.listing == nil {
		k.listing = make(chan struct{})
		go k.list(conn, k.listing)
	}
	over := k.listing
	k.mu.Unlock()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

func (k *known) list(conn *mux.Conn, over chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), listTime)
	defer cancel()
	begun := time.Now()
	k.mu.Lock()
	k.listed = begun // a change that is told from now on is one
	k.mu.Unlock()
	tools := list(ctx, conn)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tools, k.listing = tools, nil
	close(over)
}

const listTime = time.Minute // for all pages

// list asks the child for its tools, all pages. What cannot be had has no
// annotations: the call itself then tells what is wrong.
func list(ctx context.Context, conn *mux.Conn) map[string]tool {
	tools := map[string]tool{}
	link, err := conn.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		return tools
	}
	defer link.Close()
	var cursor json.RawMessage
	for range maxToolPages {
		result, err := link.Ask(ctx, translate.OwnRequest(rpc.ListTools, cursor, conn.Ready().Modern))
		if err != nil {
			return tools
		}
		readTools(result, tools)
		if cursor = rpc.Member(result, "nextCursor"); cursor == nil || string(cursor) == "null" {
			return tools
		}
	}
	return tools
}

// maxTools of a child are remembered; past it a call's headers are not checked.
const maxTools = 4096

// readTools notes the tools of one page. What is no tool is left out.
func readTools(result []byte, tools map[string]tool) {
	all := rpc.Member(result, "tools")
	_ = rpc.EachItem(all, func(at rpc.Span) error { // what is no list has no tools
		if len(tools) == maxTools {
			return rpc.ErrMessage
		}
		one := all[at.Start:at.End]
		hints := rpc.Member(one, "annotations")
		says := func(hint string) bool { return string(rpc.Member(hints, hint)) == "true" }
		if name := rpc.Text(rpc.Member(one, "name")); name != "" && len(name) <= maxToolName {
			tools[name] = tool{
				params:     translate.ParamHeaders(rpc.Member(one, "inputSchema")),
				repeatable: says("readOnlyHint") || says("idempotentHint"),
			}
		}
		return nil
	})
}

const maxToolName = 1 << 10 // bytes
