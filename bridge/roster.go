package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/reread"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/bridge/internal/translate"
)

// served is a server of the configuration.
type served struct {
	entry  config.Server
	server *fleet.Server    // nil where the entry cannot be served
	front  *stateless.Front // nil with it
	paths  http.Handler     // of /servers/NAME
	alone  http.Handler     // of the root, where it is the only one
}

// fault tells why no child of it can be started now, or nil.
func (s *served) fault() error {
	if s.server == nil {
		return s.entry.Err
	}
	return s.server.Health()
}

// roster are the servers of the configuration as it was read last, in its
// order.
type roster struct {
	mu      sync.RWMutex
	door    *served // all of them in one; nil without a file
	now     []*served
	leaving []*served // their calls are still in flight
}

func (r *roster) all() []*served {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.now
}

// every is each that has a child or may have one: who leaves, too.
func (r *roster) every() []*served {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := slices.Concat(r.now, r.leaving)
	if r.door != nil {
		all = append(all, r.door)
	}
	return slices.DeleteFunc(all, func(s *served) bool { return s.server == nil })
}

// open puts up what stands before all servers.
func (r *roster) open(door *served) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.door = door
}

// root is what answers at the root: the one server of the configuration as it
// is, or what stands before all of them.
func (r *roster) root() *served {
	if s := r.only(); s != nil {
		return s
	}
	return r.before()
}

// before is what stands before all servers, or nil.
func (r *roster) before() *served {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.door
}

func (r *roster) find(name string) *served {
	for _, s := range r.all() {
		if s.entry.Name == name {
			return s
		}
	}
	return nil
}

// at is what serves a server now, or nil. What stands before all of them is one.
func (r *roster) at(server *fleet.Server) *served {
	if door := r.before(); door != nil && door.server == server {
		return door
	}
	for _, s := range r.all() {
		if s.server == server {
			return s
		}
	}
	return nil
}

// only is the one server of the configuration, or nil where there are more.
func (r *roster) only() *served {
	if now := r.all(); len(now) == 1 {
		return now[0]
	}
	return nil
}

// byName is for the metrics.
func (r *roster) byName() map[string]*fleet.Server {
	out := map[string]*fleet.Server{}
	for _, s := range r.all() {
		out[s.entry.Name] = s.server
	}
	return out
}

// down names those of which no child can be started, among how many.
func (r *roster) down() (names []string, all int) {
	now := r.all()
	for _, s := range now {
		if s.fault() != nil {
			names = append(names, s.entry.Name)
		}
	}
	slices.Sort(names)
	return names, len(now)
}

// health is that of the whole: one server that cannot be started makes no
// other unready.
func (r *roster) health() error {
	var faults []error
	now := r.all()
	for _, s := range now {
		if err := s.fault(); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) < len(now) {
		return nil
	}
	return errors.Join(faults...)
}

// replace makes the roster those of the entries. A server whose entry is as it
// was stays, with its sessions; open makes the others. It returns who came and
// who leaves, without those that cannot be served.
func (r *roster) replace(entries []config.Server, open func(config.Server) *served) (came, left []*served) {
	old := r.all()
	next := make([]*served, len(entries))
	for i, e := range entries {
		at := slices.IndexFunc(old, func(s *served) bool { return s.entry.Equal(e) })
		if at >= 0 {
			next[i] = old[at]
			continue
		}
		next[i] = open(e)
		if next[i].server != nil {
			came = append(came, next[i])
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range old {
		if !slices.Contains(next, s) && s.server != nil {
			left = append(left, s)
		}
	}
	r.now, r.leaving = next, append(r.leaving, left...)
	return came, left
}

func (r *roster) gone(s *served) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaving = slices.DeleteFunc(r.leaving, func(other *served) bool { return other == s })
}

// openRoster reads the configuration, and lets it be read again.
func (g *gate) openRoster() error {
	if g.flags.Config == "" {
		_, err := g.readRoster()
		return err
	}
	file := reread.Open(g.flags.Config)
	g.openDoor()
	if _, err := g.readRoster(); err != nil {
		return err
	}
	hup := g.workers.hangups()
	g.workers.start(func(ctx context.Context) {
		file.Watch(ctx, hup, g.readAgain, func(err error) { g.log.Warn().Err(err).Msg("configuration") })
	})
	return nil
}

// readRoster returns the servers that are new.
func (g *gate) readRoster() ([]*served, error) {
	f, err := g.flags.servers()
	if err != nil {
		return nil, err
	}
	for _, note := range f.Notes {
		g.log.Warn().Msg(note)
	}
	came, left := g.roster.replace(f.Servers, g.newServed)
	for _, s := range came {
		s.front.Refuse(g.refusal.Load()) // blind has not met it
	}
	for _, s := range left {
		g.workers.start(func(ctx context.Context) { g.retire(ctx, s) })
	}
	return came, nil
}

func (g *gate) readAgain() {
	came, err := g.readRoster()
	if err != nil {
		g.log.Error().Err(err).Msg("the configuration that was in force stays so")
		return
	}
	for _, s := range came {
		s.server.Warm()
	}
	g.door.Changed()
	g.log.Info().Int("servers", len(g.roster.all())).Int("new", len(came)).Msg("configuration read again")
}

// newServed makes what serves an entry. Nothing is started yet.
func (g *gate) newServed(e config.Server) *served {
	s := &served{entry: e}
	if e.Err != nil {
		g.log.Error().Err(e.Err).Msg("a server is not served, the others are")
		s.paths, s.alone = unusable(e), unusable(e)
		return s
	}
	f := g.flags
	if err := findCommand(e.Command, e.Dir); err != nil && f.Config != "" { // check has looked at the other one
		g.log.Error().Err(fmt.Errorf("mcpServers.%s.command: %w", e.Key, err)).Str("server", e.Name).
			Msg("the command of a server is not there now; its callers are refused until it is")
	}
	spec := child.Spec{
		Argv: append([]string{e.Command}, e.Args...), Env: append(e.Environ(os.Environ()), g.childEnv...), Dir: e.Dir,
	}
	boxes, err := g.boxesOf(e, spec)
	if err != nil {
		e.Err = fmt.Errorf("mcpServers.%s: gatehouse: sandbox: %w", e.Key, err)
		return g.newServed(e)
	}
	s.server = fleet.NewServer(fleet.ServerConfig{
		Name: e.Name, Isolation: fleet.Isolation(f.isolation(e.Gate)), Limits: f.serverLimits(e.Gate),
		Starter: g.starter, Turns: g.turns,
		Spec: spec, Boxes: boxes,
		Child: f.childOptions(e),
		Guard: g.watch.sessionGuard(), Log: g.log, Identity: childIdentity(e.Gate),
		Adapt: func() mux.Adapter { return translate.NewElder() }, Warm: f.warm(e.Gate),
		Lend: g.lender(e), Unlent: e.Gate.Credentials != nil && e.Gate.Credentials.Missing == config.MissingStarts,
	})
	s.front = stateless.New(s.server.Pool(), f.stateless())
	s.paths, s.alone = g.pathsOf(s, serversPath+e.Name), g.pathsOf(s, "")
	g.table.Add(s.server)
	return s
}

// retire lets the calls in flight on a server end, which nobody can reach any
// more.
func (g *gate) retire(ctx context.Context, s *served) {
	ctx, cancel := context.WithTimeout(ctx, g.flags.DrainTime)
	defer cancel()
	s.front.Drain()
	err := g.table.Retire(ctx, s.server)
	s.front.Close()
	g.roster.gone(s)
	g.log.Info().Err(err).Str("server", s.entry.Name).Msg("a server whose entry changed or went has ended")
}

func unusable(e config.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer.Refuse(w, http.StatusServiceUnavailable, rpc.CodeInternal,
			fmt.Sprintf("the entry of %s in the configuration cannot be used; the log of the bridge says why", e.Name))
	})
}
