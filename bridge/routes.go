package main

import (
	"cmp"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/sse"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/bridge/internal/streamable"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// handler is everything on the public listener.
func (g *gate) handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range g.flags.HealthPath {
		mux.HandleFunc(path, g.health)
	}
	if g.flags.Config == "" {
		mux.HandleFunc("/", g.nothing)
		g.mount(mux, g.roster.only(), "")
	} else {
		mux.HandleFunc("/", g.toRoot)
		mux.HandleFunc(serversPath+"{name}/", g.toServer)
	}
	mux.Handle("GET "+contract.PathServers, g.who(http.HandlerFunc(g.offer)))
	extra, _ := g.flags.headers() // check has read them
	return httpkit.Chain(mux, withHeaders(extra), httpkit.WithRequestID(g.log),
		httpkit.AccessLog(g.log, zerolog.DebugLevel), httpkit.Recover(), g.flags.body().Timed)
}

const serversPath = "/servers/"

// toServer looks the server up at each request: the configuration is read
// again while the bridge runs.
func (g *gate) toServer(w http.ResponseWriter, r *http.Request) {
	if s := g.roster.find(r.PathValue("name")); s != nil {
		s.paths.ServeHTTP(w, r)
		return
	}
	g.nothing(w, r)
}

// toRoot is for the paths that name no server.
func (g *gate) toRoot(w http.ResponseWriter, r *http.Request) {
	if s := g.rootOf(r); s != nil {
		s.alone.ServeHTTP(w, r)
		return
	}
	g.nothing(w, r)
}

// rootOf is what answers a request at the root: the server of its session, where
// that was opened here. The root is another once a second server comes into the
// file, or the last but one goes; a session stays with the one that it has.
func (g *gate) rootOf(r *http.Request) *served {
	root := g.roster.root()
	id := sessionOf(r)
	if id == "" {
		return root
	}
	at := g.table.At(id)
	if at == nil || root != nil && root.server == at {
		return root
	}
	if s := g.roster.at(at); s != nil {
		return s
	}
	return root
}

// sessionOf is the id of the session that a request names in any era, or "".
func sessionOf(r *http.Request) string {
	return cmp.Or(r.Header.Get(streamable.HeaderSession), sse.SessionOf(r))
}

func (g *gate) nothing(w http.ResponseWriter, _ *http.Request) {
	answer.Refuse(w, http.StatusNotFound, rpc.CodeInvalidRequest, "nothing is here: the paths are "+g.paths())
}

// pathsOf are those of one server of the file, below base.
func (g *gate) pathsOf(s *served, base string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", g.nothing)
	g.mount(mux, s, base)
	return mux
}

func (g *gate) mount(mux *http.ServeMux, s *served, base string) {
	wrap := func(h http.HandlerFunc) http.Handler {
		return httpkit.Chain(h, g.watch.tracer.Receive, g.origins(), g.who,
			admit(s.entry, g.flags.ResourceMetadata, g.turnedAway(s.entry)))
	}
	body := g.flags.body()
	body.Room = g.room
	events := &sse.Front{
		Table: g.table, Server: s.server, Prefix: g.flags.PublicPrefix + base, Post: g.flags.MessagePath[0],
		Open: &g.streams, Body: body,
	}
	mcp := &streamable.Front{
		Table: g.table, Server: s.server, Open: &g.streams, Body: body, Grace: g.flags.GoneTime,
		Modern: g.modern(s, body),
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

// modern answers 2026-07-28 for a server, or for all of them.
func (g *gate) modern(s *served, body answer.Body) *stateless.Endpoint {
	e := &stateless.Endpoint{Front: s.front, Server: s.entry.Name, Body: body, Who: identity.From}
	if s == g.roster.before() {
		e.Route = func(r *http.Request, m *rpc.Message) (*stateless.Endpoint, *http.Request, *rpc.Message) {
			if s.front.Keeps(m) { // it was asked before its server was known to speak this era
				return nil, nil, nil
			}
			return g.routed(r, m)
		}
	}
	return e
}

// paths are what is here, for who asks for something else.
func (g *gate) paths() string {
	all := slices.Concat(g.flags.SSEPath, g.flags.MessagePath, g.flags.MCPPath)
	if g.flags.Config == "" {
		return strings.Join(all, ", ")
	}
	return strings.Join(all, ", ") + ", also below " + serversPath + "NAME"
}

// health is 200 while at least one server can be started; with several it
// names each that cannot, so that one fault does not hide.
func (g *gate) health(w http.ResponseWriter, _ *http.Request) {
	down, all := g.roster.down()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "healthy\n"
	if g.table.Draining() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("stopping\n"))
		return
	}
	if len(down) == all {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = "unhealthy\n"
	}
	if len(down) > 0 && all > 1 {
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
	if g.flags.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	extra, _ := g.flags.headers() // check has read them
	return httpkit.Chain(mux, withHeaders(extra), httpkit.WithRequestID(g.log), httpkit.Recover())
}
