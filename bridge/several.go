package main

import (
	"net/http"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/door"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/bridge/internal/streamable"
)

// several is the root of a configuration with more than one server: one that is
// made of all of them. The servers of each request are those of the roster then.
type several struct {
	server *fleet.Server // starts nothing: sessions on it have the door in place of a child
	paths  http.Handler
}

func (g *gate) openSeveral() {
	if g.flags.Config == "" {
		return
	}
	made := &door.Door{
		Servers: g.roster.servers, Separator: g.flags.NameSeparator, ListTime: g.flags.ListTime, Log: g.log,
	}
	g.several.server = fleet.NewServer(fleet.ServerConfig{
		Isolation: fleet.PerSession, Limits: g.flags.limits().Limits, Starter: g.starter,
		Guard: g.watch.sessionGuard(), Log: g.log,
	})
	g.table.AddDoor(g.several.server, made.Open)
	g.several.paths = g.pathsOf(place{server: g.several.server, modern: func(b answer.Body) streamable.Modern {
		return &stateless.Several{
			Door: made, Server: g.several.server, Front: g.roster.front, Body: b, Who: identity.From,
		}
	}}, "")
}
