package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"

	"gatehouse/internal/contract"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/front"
	"gatehouse/test/load/internal/issuer"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

const (
	rowWayLimit = "limit: auth_request to a bare 200, bare net/http"
	gateIntro   = "## Part three: the whole way\n\nTLS client, nginx, the authoriser with a Bearer token, the bridge with signed identity, a child, and back. " +
		"nginx is that of the benchmarks (one auth_request, no verdict cache, no limits, no log) for every row, so this compares the programs behind it. " +
		"The ratio is to the limit. CPU is of nginx and all behind it; at the largest number of sessions.\n\n"
)

// way is one road from TLS to a child.
type way struct {
	name   string
	mode   caller.Mode
	to     *proc.Proc
	ask    string
	bearer bool
	addr   string
	also   []*proc.Proc
}

func partGate(ctx context.Context, b *bench) error {
	idp, err := issuer.Start(ctx)
	if err != nil {
		return err
	}
	defer idp.Close()
	g := &gates{issuer: idp, tls: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a certificate of this run, on loopback
	var ways []*way
	err = b.startGates(ctx, g, func() (sites []front.Site, err error) {
		if ways, err = b.ways(ctx, g); err != nil {
			return nil, err
		}
		for _, w := range ways {
			if w.addr, err = proc.FreeAddr(); err != nil {
				return nil, err
			}
			sites = append(sites, front.Site{Addr: w.addr, To: w.to.Addr, Ask: w.ask})
		}
		return sites, nil
	})
	if err != nil {
		return err
	}
	cells, err := g.wayCells(ways)
	if err != nil {
		return err
	}
	measure.Run(cells, b.rounds, b.window, progress)
	text := gateIntro + report.Made(b.command)
	for _, mode := range []caller.Mode{caller.MCP, caller.SSE} {
		t := report.Table{Title: "The whole way over " + string(mode), Mode: mode, Base: rowWayLimit, Cells: cells}
		text += t.Markdown() + "\n"
	}
	text += report.Faults(cells)
	fmt.Print(text)
	return report.Write(b.out, "part three", text)
}

// ways starts what stands behind nginx.
func (b *bench) ways(ctx context.Context, g *gates) ([]*way, error) {
	var err error
	start := func(name string, argv ...string) (p *proc.Proc) {
		if err == nil {
			p, err = b.start(ctx, name, argv)
		}
		return p
	}
	super := []string{"node", b.peer("supergateway/dist/index.js"), "--stdio", b.child(), "--port", "%PORT%", "--logLevel", "none", "--outputTransport"}
	bare := start("bare handler", filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child())
	bridge := start("bridge", b.bridgeArgv("--identity", "signed", "--identity-keys", "http://"+g.internal+contract.PathKeys, "--max-user-sessions", "1000")...)
	superMCP := start("supergateway mcp", append(super, "streamableHttp", "--stateful")...)
	superSSE := start("supergateway sse", append(super, "sse")...)
	if err != nil {
		return nil, err
	}
	var ways []*way
	for _, mode := range []caller.Mode{caller.MCP, caller.SSE} {
		peer := superMCP
		if mode == caller.SSE {
			peer = superSSE
		}
		ways = append(ways,
			&way{name: "no auth, bare net/http", mode: mode, to: bare},
			&way{name: rowWayLimit, mode: mode, to: bare, ask: "floor", also: []*proc.Proc{g.floor}},
			&way{name: "gatehouse: authsvc, bridge", mode: mode, to: bridge, ask: "gate", bearer: true, also: []*proc.Proc{g.authsvc, g.redis}},
			&way{name: "oauth2-proxy 7.15.4, supergateway 4.0.0", mode: mode, to: peer, ask: "foreign", bearer: true, also: []*proc.Proc{g.foreign, g.redis}},
		)
	}
	return ways, nil
}

func (g *gates) wayCells(ways []*way) ([]*measure.Cell, error) {
	token, err := g.issuer.Access()
	if err != nil {
		return nil, err
	}
	var cells []*measure.Cell
	for _, w := range ways {
		target := wire.Target{Addr: w.addr, TLS: g.tls}
		if w.bearer {
			target.Header = map[string]string{"Authorization": "Bearer " + token}
		}
		for _, n := range levels() {
			cells = append(cells, &measure.Cell{
				Target: w.name, Mode: w.mode, N: n, Wire: func(int) wire.Target { return target },
				Procs: append([]*proc.Proc{w.to, g.nginx}, w.also...),
			})
		}
	}
	return cells, nil
}
