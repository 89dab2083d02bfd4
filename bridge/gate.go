package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/bridge/internal/translate"
	"gatehouse/internal/httpkit"
)

// gate is the wired program.
type gate struct {
	flags   *flags
	log     zerolog.Logger
	starter *child.Starter
	servers []*fleet.Server
	fronts  []*stateless.Front
	faults  []config.Server // entries that cannot be served
	table   *session.Table
	watch   *watch
	checks  map[string]httpkit.Check
	reg     *prometheus.Registry
	workers sync.WaitGroup
	streams sync.WaitGroup // that outlive their handlers
	end     func()         // of the workers
}

// newGate wires the program; env is added to every child's environment.
func newGate(ctx context.Context, f *flags, log zerolog.Logger, env ...string) (*gate, error) {
	g := &gate{flags: f, log: log, reg: httpkit.NewRegistry(), checks: map[string]httpkit.Check{}}
	entries, err := f.servers()
	if err != nil {
		return nil, err
	}
	if g.watch, err = newWatch(f, g.reg, log); err != nil {
		return nil, err
	}
	g.starter = child.NewStarter()
	if g.starter.Max = f.MaxChildren; f.MaxChildren == 0 {
		g.starter.Max = child.Capacity()
	}
	for _, note := range entries.Notes {
		log.Warn().Msg(note)
	}
	for _, e := range entries.Servers {
		if e.Err != nil {
			log.Error().Err(e.Err).Msg("a server is not served, the others are")
			g.faults = append(g.faults, e)
			continue
		}
		server := fleet.NewServer(fleet.ServerConfig{
			Name: e.Name, Isolation: fleet.Isolation(f.isolation(e.Gate)), Limits: f.serverLimits(e.Gate).Limits, Starter: g.starter,
			Spec: child.Spec{
				Argv: append([]string{e.Command}, e.Args...), Env: append(e.Environ(os.Environ()), env...), Dir: e.Dir,
			},
			Child: child.Options{StdinGrace: f.StopTime, TermGrace: f.KillTime},
			Guard: g.watch.sessionGuard(), Log: log,
			Adapt: func() mux.Adapter { return translate.NewElder() }, Warm: f.warm(e.Gate),
		})
		g.servers = append(g.servers, server)
		g.fronts = append(g.fronts, stateless.New(server.Pool(), f.stateless()))
		g.checks["server:"+e.Name] = func(context.Context) error { return server.Health() }
	}
	g.table = session.NewTable(f.Node, f.limits(), g.servers...)
	g.table.Ended = g.watch.sessionEnded()
	g.watch.collect(g.reg, g.table, g.servers)
	workers, end := context.WithCancel(context.WithoutCancel(ctx))
	g.end = end
	g.watch.run(workers, &g.workers)
	return g, nil
}

func (g *gate) serve(ctx context.Context, greet io.Writer) error {
	defer g.watch.close()
	defer g.starter.Close()
	defer g.workers.Wait()
	defer g.end()
	who, err := g.identity()
	if err != nil {
		return errors.Join(err, g.close())
	}
	endpoints, err := g.endpoints(ctx, who)
	if err != nil {
		return errors.Join(err, g.close())
	}
	g.log.Info().Str("listen", g.flags.Listen).Str("identity", g.flags.Identity).
		Str("isolation", g.flags.Isolation).Int("servers", len(g.servers)).Msg("bridge is up")
	g.greet(greet, endpoints[0].Listener.Addr())
	for _, server := range g.servers {
		server.Warm()
	}
	err = httpkit.Serve(ctx, g.flags.DrainTime, g.drain, endpoints...)
	return errors.Join(err, g.close())
}

// drain ends what would never end by itself, then lets calls finish.
func (g *gate) drain(ctx context.Context) {
	for _, front := range g.fronts {
		front.Drain()
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
	for _, front := range g.fronts {
		front.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.flags.DrainTime)
	defer cancel()
	return g.table.Close(ctx)
}

func (g *gate) endpoints(ctx context.Context, who httpkit.Middleware) ([]httpkit.Endpoint, error) {
	public, err := httpkit.Listen(ctx, g.flags.Listen)
	if err != nil {
		return nil, err
	}
	endpoints := []httpkit.Endpoint{{Listener: httpkit.Coarse(public), Server: g.httpServer(g.handler(who))}}
	if g.flags.AdminListen == "" {
		return endpoints, nil
	}
	admin, err := httpkit.Listen(ctx, g.flags.AdminListen)
	if err != nil {
		return nil, errors.Join(err, public.Close())
	}
	return append(endpoints, httpkit.Endpoint{Listener: admin, Server: g.httpServer(g.admin())}), nil
}

func (g *gate) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return g.log.WithContext(context.Background()) },
	}
}

// identity is the middleware that tells who calls, with what keeps it true
// running beside it.
func (g *gate) identity() (httpkit.Middleware, error) {
	switch g.flags.Identity {
	case "none":
		return identity.Nobody, nil
	case "token":
		tokens, err := identity.OpenTokens(g.flags.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("%w: --token-file: %w", errUsage, err)
		}
		return tokens.Wrap, nil
	}
	client := &http.Client{Timeout: 10 * time.Second}
	keys := &identity.Keys{URL: g.flags.IdentityKeys, Client: client, Log: g.log}
	ended := &identity.Ended{
		URL: g.flags.endedURL(), Client: client, Log: g.log,
		SIDs: g.sids, End: g.endSIDs, Blind: g.blind,
	}
	g.checks["identity keys"], g.checks["ended sessions"] = keys.Check, ended.Check
	g.watch.start(&g.workers, keys.Run)
	g.watch.start(&g.workers, ended.Run)
	return identity.NewVerifier(keys).Wrap, nil
}

func (g *gate) sids() []string {
	seen := map[string]bool{}
	var all []string
	lists := [][]string{g.table.SIDs()}
	for _, front := range g.fronts {
		lists = append(lists, front.SIDs())
	}
	for _, list := range lists {
		for _, sid := range list {
			if sid != "" && !seen[sid] {
				seen[sid] = true
				all = append(all, sid)
			}
		}
	}
	return all
}

func (g *gate) endSIDs(sids []string) {
	g.table.EndSIDs(sids)
	for _, front := range g.fronts {
		for _, sid := range sids {
			front.End(sid)
		}
	}
}

// blind is Contract 3: what is open stays, nothing new is let in.
func (g *gate) blind(blind bool) {
	var no *mux.Refusal
	if blind {
		no = &mux.Refusal{Reason: "authsvc does not tell which logins have ended", Retry: 10 * time.Second}
	}
	g.table.Refuse(no)
	for _, front := range g.fronts {
		front.Refuse(no)
	}
}

func (g *gate) origins() httpkit.Middleware {
	return answer.Origins{
		Allowed: g.flags.Origin, Hosts: g.flags.Host, CORS: g.flags.Identity != "signed",
		LocalOnly: g.flags.Identity == "none" && httpkit.IsLocal(g.flags.Listen) && !strings.HasPrefix(g.flags.Listen, "unix:"),
	}.Wrap
}
