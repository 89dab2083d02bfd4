package door

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// Hub is the door in one session: what its client says goes to the inner
// session of the server that it is for, and what the servers say comes to this
// client alone. A server's child is started when first needed.
type Hub struct {
	door  *Door
	outer *session.Session

	mu     sync.Mutex
	closed bool
	init   []byte // the client's initialize, for each child
	level  []byte // the last logging/setLevel, the whole line
	parts  map[*fleet.Server]*inner

	questions questions
}

// inner is the inner session of one server.
type inner struct {
	hub    *Hub
	server *Server
	*session.Session
}

// Open is what a table calls for each session.
func (d *Door) Open(s *session.Session) session.Door {
	return &Hub{door: d, outer: s, parts: map[*fleet.Server]*inner{}}
}

var _ session.Door = (*Hub)(nil)

// Call implements session.Door.
func (h *Hub) Call(
	ctx context.Context, who *contract.Identity, m *rpc.Message, sink event.Sink,
) (*mux.Call, error) {
	a := asker{h, who}
	switch {
	case m.Method == "initialize":
		return nil, h.initialize(ctx, who, m, sink)
	case m.Method == "ping":
		return nil, give(sink, m, []byte("{}"))
	case m.Method == mux.MethodSetLevel:
		return nil, h.setLevel(ctx, who, m, sink)
	case Lists(m.Method):
		result, _, err := h.door.List(ctx, who, m, a)
		if err != nil {
			return nil, err
		}
		return nil, give(sink, m, result)
	}
	s, line, err := h.door.Route(ctx, who, m, a)
	if err != nil {
		return nil, err
	}
	in, err := h.part(s)
	if err != nil {
		return nil, err
	}
	if err := h.levelled(ctx, who, in); err != nil {
		return nil, err
	}
	return in.Call(ctx, who, &line, &relay{in, who, sink})
}

// give answers in a server's place.
func give(sink event.Sink, m *rpc.Message, result []byte) error {
	sink.Push(event.Event{Kind: rpc.Response, Final: true, Line: rpc.ResultBody(m.ID(), result)})
	return nil
}

func (h *Hub) initialize(ctx context.Context, who *contract.Identity, m *rpc.Message, sink event.Sink) error {
	h.mu.Lock()
	h.init = session.KeptInit(m)
	h.mu.Unlock()
	version := rpc.Text(rpc.Member(m.Params(), "protocolVersion"))
	if !rpc.HasSessions(version) {
		version = rpc.Version20251125
	}
	can, instructions := h.door.About(ctx, who)
	result := []byte(`{"protocolVersion":"` + version + `","capabilities":` + string(can) +
		`,"serverInfo":` + string(Info()))
	if instructions != nil {
		result = append(append(result, `,"instructions":`...), instructions...)
	}
	result, err := h.outer.Server().Filtered(ctx, h.outer.Caller(who), m, append(result, '}'))
	if err != nil {
		return err
	}
	return give(sink, m, result)
}

// setLevel tells those that run, and the others when they do.
func (h *Hub) setLevel(ctx context.Context, who *contract.Identity, m *rpc.Message, sink event.Sink) error {
	if !rpc.LogLevel(rpc.Text(rpc.Member(m.Params(), "level"))) {
		return rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: level")
	}
	h.mu.Lock()
	h.level = bytes.Clone(m.Line)
	h.mu.Unlock()
	var all sync.WaitGroup
	for _, in := range h.running() {
		all.Go(func() { _ = h.levelled(ctx, who, in) })
	}
	all.Wait()
	return give(sink, m, []byte("{}"))
}

// levelled tells a server the client's log level where it was not told that.
func (h *Hub) levelled(ctx context.Context, who *contract.Identity, in *inner) error {
	h.mu.Lock()
	line := h.level
	h.mu.Unlock()
	if line == nil || !in.server.can("logging") || !in.Tell(line) {
		return nil
	}
	m, err := rpc.Reparse(line)
	if err != nil {
		return err
	}
	_, err = asker{h, who}.Ask(ctx, in.server, &m)
	var refused *rpc.Error
	if errors.As(err, &refused) {
		return nil // a server that has no levels says what it likes
	}
	return err
}

// Send implements session.Door.
func (h *Hub) Send(ctx context.Context, who *contract.Identity, m *rpc.Message) error {
	switch {
	case m.Kind == rpc.Response:
		return h.respond(ctx, who, m)
	case m.Method == "notifications/initialized":
		return nil // each child is told when it has its own initialize
	case m.Method == rpc.Progress:
		return h.progressed(ctx, who, m)
	}
	for _, in := range h.running() {
		if err := in.Send(ctx, who, m); err != nil {
			return err
		}
	}
	return nil
}

// part is the inner session of a server, opened when first needed.
func (h *Hub) part(s *Server) (*inner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, &rpc.Error{Code: rpc.CodeSession, Message: event.ErrEnded.Error()}
	}
	if in := h.parts[s.Fleet]; in != nil && in.Err() == nil {
		return in, nil
	}
	in := &inner{hub: h, server: s}
	var err error
	if in.Session, err = h.outer.Inner(s.Fleet, h.init, &relay{in, &h.outer.Owner, h.outer.Standing}); err != nil {
		return nil, err
	}
	h.parts[s.Fleet] = in
	return in, nil
}

func (h *Hub) all() []*inner {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*inner, 0, len(h.parts))
	for _, in := range h.parts {
		out = append(out, in)
	}
	return out
}

// running are those that have a child.
func (h *Hub) running() (out []*inner) {
	for _, in := range h.all() {
		if in.Running() {
			out = append(out, in)
		}
	}
	return out
}

// Busy implements session.Door.
func (h *Hub) Busy() bool {
	for _, in := range h.all() {
		if in.Busy() {
			return true
		}
	}
	return false
}

// Close implements session.Door.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, in := range h.all() {
		in.End(event.ErrEnded)
	}
}
