package main

import (
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/sse"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/bridge/internal/streamable"
	"gatehouse/internal/httpkit"
)

// handler is everything on the public listener.
func (g *gate) handler(who httpkit.Middleware) http.Handler {
	mux := http.NewServeMux()
	for i, server := range g.servers {
		base := ""
		if server.Name != "" {
			base = "/servers/" + server.Name
		}
		g.mount(mux, base, server, g.fronts[i], who)
	}
	if len(g.servers) == 1 && len(g.faults) == 0 && g.servers[0].Name != "" { // the only one is at /mcp too
		g.mount(mux, "", g.servers[0], g.fronts[0], who)
	}
	for _, fault := range g.faults {
		mux.HandleFunc("/servers/"+fault.Name+"/", func(w http.ResponseWriter, _ *http.Request) {
			answer.Refuse(w, http.StatusServiceUnavailable, rpc.CodeInternal,
				"the entry of "+fault.Name+" in the configuration cannot be used; the log of the bridge says why")
		})
	}
	for _, path := range g.flags.HealthPath {
		mux.HandleFunc(path, g.health)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer.Refuse(w, http.StatusNotFound, rpc.CodeInvalidRequest, "nothing is here: the paths are "+g.paths())
	})
	extra, _ := g.flags.headers() // check has read them
	return httpkit.Chain(mux, withHeaders(extra), httpkit.WithRequestID(g.log), httpkit.AccessLog(g.log, zerolog.DebugLevel),
		httpkit.Recover(), g.flags.body().Timed)
}

func (g *gate) mount(mux *http.ServeMux, base string, server *fleet.Server, modern *stateless.Front, who httpkit.Middleware) {
	wrap := func(h http.HandlerFunc) http.Handler {
		return httpkit.Chain(h, g.watch.tracer.Receive, g.origins(), who)
	}
	body := g.flags.body()
	events := &sse.Front{
		Table: g.table, Server: server, Prefix: g.flags.PublicPrefix + base, Post: g.flags.MessagePath[0], Open: &g.streams, Body: body,
	}
	mcp := &streamable.Front{
		Table: g.table, Server: server, Open: &g.streams, Body: body, Grace: g.flags.GoneTime,
		Modern: &stateless.Endpoint{Front: modern, Server: server.Name, Body: body, Who: identity.From},
	}
	for _, at := range []struct {
		paths []string
		h     http.HandlerFunc
	}{{g.flags.SSEPath, events.Stream}, {g.flags.MessagePath, events.Message}, {g.flags.MCPPath, mcp.ServeHTTP}} {
		for _, path := range at.paths {
			mux.Handle(base+path, wrap(at.h))
			mux.Handle(base+path+"/{$}", wrap(at.h))
		}
	}
}

// paths are what is here, for who asks for something else.
func (g *gate) paths() string {
	all := slices.Concat(g.flags.SSEPath, g.flags.MessagePath, g.flags.MCPPath)
	if g.flags.Config == "" {
		return strings.Join(all, ", ")
	}
	return "/servers/NAME and then one of " + strings.Join(all, ", ")
}

// health is 200 while at least one server can be started; with several it
// names each that cannot, so that one fault does not hide.
func (g *gate) health(w http.ResponseWriter, _ *http.Request) {
	var down []string
	for _, fault := range g.faults {
		down = append(down, fault.Name)
	}
	for _, server := range g.servers {
		if server.Health() != nil {
			down = append(down, server.Name)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "healthy\n"
	all := len(g.servers) + len(g.faults)
	if len(down) == all {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = "unhealthy\n"
	}
	if len(down) > 0 && all > 1 {
		sort.Strings(down)
		text += "cannot start: " + strings.Join(down, ", ") + "\n"
	}
	_, _ = w.Write([]byte(text))
}

// admin is everything on the admin listener.
func (g *gate) admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", httpkit.Metrics(g.reg))
	mux.Handle("GET /health/live", httpkit.Live())
	mux.Handle("GET /health/ready", httpkit.Ready(g.checks))
	extra, _ := g.flags.headers() // check has read them
	return httpkit.Chain(mux, withHeaders(extra), httpkit.WithRequestID(g.log), httpkit.Recover())
}
