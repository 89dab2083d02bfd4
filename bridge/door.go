package main

import (
	"net/http"
	"time"

	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/door"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/internal/contract"
)

// doorCallTime is longer than any: the time of a call is that of its server.
const doorCallTime = 24 * time.Hour

// openDoor makes what answers at the root of a file with several servers: all of
// them in one.
func (g *gate) openDoor() {
	limits := g.flags.limits().Limits
	limits.CallTime, limits.Sleep = doorCallTime, 0
	g.door = door.New(door.Options{
		Parts: g.parts, Table: g.table, Separator: g.flags.NameSeparator, ListTime: g.flags.ListTime, Log: g.log,
		Guard: g.watch.sessionGuard(),
	})
	s := &served{entry: config.Server{Key: "mcp"}}
	s.server = fleet.NewServer(fleet.ServerConfig{
		Isolation: fleet.PerSession, Identity: fleet.NeedsUser, Limits: limits, Starter: g.starter,
		Start: g.door.Start, Log: g.log,
	})
	s.front = stateless.New(s.server.Pool(), g.flags.stateless())
	s.front.Refuse(g.refusal.Load())
	g.table.Add(s.server)
	g.roster.open(s)
	s.alone = g.pathsOf(s, "")
	g.watch.changed = g.door.Changed
}

// routed gives a call of 2026-07-28 to its own server: it needs no session, so
// that nothing stands between, and what the server asks belongs to this call.
func (g *gate) routed(r *http.Request, m *rpc.Message) (*stateless.Endpoint, *http.Request, *rpc.Message) {
	const header = "Mcp-Name"
	name, who := m.Name(), identity.From(r.Context())
	if name != "" && r.Header.Get(header) != name { // it is refused, or encoded: the door reads it
		return nil, nil, nil
	}
	to, own := g.door.Route(m, who)
	if own == nil {
		return nil, nil, nil
	}
	s := g.roster.find(to.Name)
	if s == nil || s.server != to.Server {
		return nil, nil, nil
	}
	its := r.WithContext(r.Context())
	if name != "" {
		its.Header = r.Header.Clone()
		its.Header.Set(header, own.Name())
	}
	return &stateless.Endpoint{
		Front: s.front, Server: to.Name, Who: identity.From,
		Began: func(task string) { g.door.Began(who, to.Name, task) },
	}, its, own
}

// behind are the servers behind the door, made once for each reading of the file.
type behind struct {
	of    []*served
	parts []door.Part
}

func (b *behind) is(all []*served) bool {
	return b != nil && len(b.of) == len(all) && (len(all) == 0 || &b.of[0] == &all[0])
}

// parts are those of now.
func (g *gate) parts() []door.Part {
	all, known := g.roster.all(), g.behind.Load()
	if !known.is(all) {
		known = &behind{all, g.partsOf(all)}
		g.behind.Store(known)
	}
	return known.parts
}

func (g *gate) partsOf(all []*served) []door.Part {
	parts := make([]door.Part, 0, len(all))
	for _, s := range all {
		if s.server == nil {
			continue // its entry cannot be used; the log says why
		}
		parts = append(parts, door.Part{
			Name: s.entry.Name, Server: s.server,
			May: func(who *contract.Identity) error { return refused(s.entry, who, g.flags.ResourceMetadata) },
		})
	}
	return parts
}
