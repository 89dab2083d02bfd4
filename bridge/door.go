package main

import (
	"time"

	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/door"
	"gatehouse/bridge/internal/fleet"
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
	})
	s := &served{entry: config.Server{Key: "mcp"}}
	s.server = fleet.NewServer(fleet.ServerConfig{
		Isolation: fleet.PerSession, Identity: fleet.NeedsUser, Limits: limits, Starter: g.starter,
		Start: g.door.Start, Guard: g.door, Log: g.log,
	})
	s.front = stateless.New(s.server.Pool(), g.flags.stateless())
	s.front.Refuse(g.refusal.Load())
	s.alone = g.pathsOf(s, "")
	g.table.Add(s.server)
	g.roster.open(s)
	g.watch.changed = g.door.Changed
}

// parts are the servers behind the door.
func (g *gate) parts() []door.Part {
	all := g.roster.all()
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
