package door

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Server is one of those that the door is made of.
type Server struct {
	Name   string
	Fleet  *fleet.Server
	Refuse func(*contract.Identity) error // why the caller may not use it, or nil
}

// Door is one server made of others. It is safe for concurrent use.
type Door struct {
	Servers   func() []*Server // as they are now, in the order of the file
	Separator string           // between a server's name and that of its tool
	ListTime  time.Duration    // for what each server gives to a list
	Log       zerolog.Logger

	memory memory
	tasks  tasks
	asked  atomic.Uint64 // of the door's own

	mu   sync.Mutex
	said map[string]struct{} // once
}

// Asker asks a server in a caller's name, each era in its own way.
type Asker interface {
	// Running reports whether the caller has a child of the server.
	Running(s *Server) bool
	// Ask makes a call and returns its result.
	Ask(ctx context.Context, s *Server, m *rpc.Message) (result []byte, err error)
	// Caller is who asks.
	Caller(s *Server) *mux.Caller
	// Meta is what every request of the caller's era has in its params, or "".
	Meta() string
}

// usable are the servers that the caller may use.
func (d *Door) usable(who *contract.Identity) []*Server {
	var out []*Server
	for _, s := range d.Servers() {
		if s.Refuse(who) == nil {
			out = append(out, s)
		}
	}
	return out
}

// Info is what the door says of itself.
func Info() json.RawMessage { return json.RawMessage(`{"name":"gatehouse","version":"1"}`) }

// About is what the servers that the caller may use say of themselves, as one:
// capabilities are the union, and instructions stand under each name. What a
// server can that nobody knows yet is taken to be the usual.
func (d *Door) About(ctx context.Context, who *contract.Identity) (capabilities, instructions json.RawMessage) {
	ctx, cancel := context.WithTimeout(ctx, d.ListTime)
	defer cancel()
	servers := d.usable(who)
	about := make([]mux.Ready, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() {
			r, err := s.Fleet.Describe(ctx)
			if err != nil {
				d.Log.Warn().Str("server", s.Name).Err(err).Msg("a server does not say what it can")
				r.Result = []byte(`{"capabilities":{"tools":{},"prompts":{},"resources":{}}}`)
			}
			about[i] = r
		})
	}
	all.Wait()
	union, text := map[string]any{}, ""
	for i, r := range about {
		var said struct {
			Capabilities map[string]any `json:"capabilities"`
			Instructions string         `json:"instructions"`
		}
		if err := json.Unmarshal(r.Result, &said); err != nil {
			d.Log.Warn().Str("server", servers[i].Name).Err(err).Msg("a server describes itself in a way that cannot be read")
			continue
		}
		join(union, said.Capabilities)
		if said.Instructions != "" {
			text += "# " + servers[i].Name + "\n\n" + said.Instructions + "\n\n"
		}
	}
	capabilities, _ = json.Marshal(union) // it was JSON
	if text != "" {
		instructions = rpc.Quote(text[:len(text)-2])
	}
	return capabilities, instructions
}

// join adds what b says to a: each member, and what is true in either.
func join(a, b map[string]any) {
	for key, value := range b {
		into, _ := a[key].(map[string]any)
		more, is := value.(map[string]any)
		switch {
		case is && into != nil:
			join(into, more)
		case is:
			fresh := map[string]any{}
			join(fresh, more)
			a[key] = fresh
		case a[key] == nil || value == true:
			a[key] = value
		}
	}
}

// once logs a thing the first time that it is met.
func (d *Door) once(what string) bool {
	const most = 1024 // after that it is said again
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.said[what]; ok {
		return false
	}
	if len(d.said) >= most || d.said == nil {
		d.said = map[string]struct{}{}
	}
	d.said[what] = struct{}{}
	return true
}
