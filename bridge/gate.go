package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/credential"
	"gatehouse/bridge/internal/door"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/sandbox"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/httpkit"
)

// gate is the wired program. A request passes it from the top to the bottom:
//
//	listen.go    the listeners
//	routes.go    paths to handlers, health, the admin pages
//	callers.go   who calls, and which pages may
//	admit.go     what an entry asks of its callers
//	  internal/{sse,streamable,stateless}, a front for each era
//	watch.go     policy, audit log, metrics and traces around each call
//	door.go      /mcp and /sse as one server made of several
//	roster.go    the servers of the configuration, and that it is read again
//	  internal/{session,fleet,mux,event,child}, down to the processes
type gate struct {
	flags   *flags
	log     zerolog.Logger
	starter *child.Starter
	turns   *fleet.Turns // of all children that start
	boxes   *sandbox.Host
	roster  roster
	door    *door.Door // nil without a file of servers
	behind  atomic.Pointer[behind]
	table   *session.Table
	watch   *watch
	who     httpkit.Middleware
	checks  map[string]httpkit.Check
	reg     *prometheus.Registry
	workers *workers
	room    *answer.Room
	streams sync.WaitGroup // that outlive their handlers

	credentials *credential.Keeper // nil but with --identity signed

	childEnv []string                    // of every child
	refusal  atomic.Pointer[mux.Refusal] // nil while callers are let in
}

// newGate wires the program; env is added to every child's environment.
func newGate(ctx context.Context, f *flags, log zerolog.Logger, env ...string) (*gate, error) {
	g := &gate{flags: f, log: log, reg: httpkit.NewRegistry(), checks: map[string]httpkit.Check{}, childEnv: env}
	g.room = answer.NewRoom(f.MaxBodies)
	var err error
	if g.watch, err = newWatch(f, g.reg, log); err != nil {
		return nil, err
	}
	g.workers, g.starter, g.turns = newWorkers(ctx), child.NewStarter(), fleet.NewTurns()
	if g.starter.Max = f.MaxChildren; f.MaxChildren == 0 {
		g.starter.Max = child.Capacity()
	}
	if err := g.openBoxes(); err != nil {
		g.workers.end()
		g.starter.Close()
		return nil, err
	}
	g.table = session.NewTable(f.Node, f.limits())
	g.table.Ended, g.table.Woken = g.watch.sessionEnded(), g.watch.sessionWoken()
	if err := g.open(); err != nil {
		g.workers.end()
		g.starter.Close()
		err = errors.Join(err, g.close())
		g.boxes.Close()
		return nil, err
	}
	g.checks["draining"] = func(context.Context) error { return g.table.Draining() }
	g.checks["servers"] = func(context.Context) error { return g.roster.health() }
	g.watch.collect(g.reg, g.table, g.roster.byName)
	g.watch.run(g.workers)
	return g, nil
}

// open lets callers be known and servers be found.
func (g *gate) open() (err error) {
	if g.who, err = g.callers(); err != nil {
		return err
	}
	return g.openRoster()
}

// serve answers until ctx ends, and then leaves nothing behind.
func (g *gate) serve(ctx context.Context, greet io.Writer) error {
	defer g.watch.close()
	defer g.boxes.Close() // after the last child
	defer g.starter.Close()
	defer g.workers.end()
	endpoints, err := g.endpoints(ctx)
	if err != nil {
		return errors.Join(err, g.close())
	}
	g.log.Info().Str("listen", g.flags.Listen).Str("identity", g.flags.Identity).
		Str("isolation", g.flags.Isolation).Int("servers", len(g.roster.all())).Msg("bridge is up")
	g.greet(greet, endpoints[0].Listener.Addr())
	for _, s := range g.roster.every() {
		s.server.Warm()
	}
	err = httpkit.Serve(ctx, g.flags.DrainTime, g.drain, endpoints...)
	return errors.Join(err, g.close())
}

// drain ends what would never end by itself, then lets calls finish.
func (g *gate) drain(ctx context.Context) {
	for _, s := range g.roster.every() {
		s.front.Drain()
	}
	g.table.Drain(ctx)
	told := make(chan struct{})
	go func() {
		g.streams.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-ctx.Done():
	}
}

func (g *gate) close() error {
	for _, s := range g.roster.every() {
		s.front.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.flags.DrainTime)
	defer cancel()
	return g.table.Close(ctx)
}

// workers are what runs beside the requests, until end.
type workers struct {
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
}

func newWorkers(ctx context.Context) *workers {
	w := &workers{}
	w.ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	return w
}

func (w *workers) start(work func(context.Context)) { w.all.Go(func() { work(w.ctx) }) }

func (w *workers) end() {
	w.stop()
	w.all.Wait()
}

// hangups are the SIGHUPs from now on, until the workers end.
func (w *workers) hangups() <-chan os.Signal {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	context.AfterFunc(w.ctx, func() { signal.Stop(hup) })
	return hup
}
