package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gatehouse/internal/contract"
	"gatehouse/test/issuer"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/front"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
	"gatehouse/test/stack"
)

const (
	rowWayLimit = "limit: auth_request to a bare 200, bare net/http"
	rowAlone    = "nginx alone"
	rowOpen     = "the gate's nginx, no sign-in"
	gateIntro   = "## Part three: the whole way\n\nTLS client, nginx, the authoriser with a Bearer token, " +
		"the bridge with signed identity, a child, and back. " +
		"gatehouse's nginx is the tree in `nginx/` and `lua/` as it is installed, with log, limits and all, " +
		"but for limits that no caller reaches here. " +
		"The others have the nginx of the benchmarks: one auth_request, no limits, no log. " +
		"All get the same requests, Bearer token included. " +
		"The ratio is to the limit. CPU is of nginx and all behind it; at the largest number of sessions. " +
		"Of the remembered verdicts, nginx alone is that of the benchmarks and only passes the request on: " +
		"no log, no limit, no header added to the answer, " +
		"and none of the fourteen that tell the handler who calls and from where. " +
		"The gate's nginx without sign-in has all of that but who calls.\n\n"
)

// way is one road from TLS to a child.
type way struct {
	name   string
	mode   caller.Mode
	prefix string
	to     *proc.Proc
	ask    string
	header map[string]string
	nginx  *proc.Proc // nil: the benchmarks' own
	addr   string
	also   []*proc.Proc
	levels []int
}

func partGate(ctx context.Context, b *bench) error {
	idp, err := issuer.Start(ctx)
	if err != nil {
		return err
	}
	defer idp.Close()
	g := &gates{
		issuer: idp,
		tls:    &tls.Config{InsecureSkipVerify: true},
	} //nolint:gosec // a certificate of this run, on loopback
	var behind *inner
	var ways []*way
	err = b.startGates(ctx, g, func() (sites []front.Site, err error) {
		if behind, err = b.inner(ctx, g); err != nil {
			return nil, err
		}
		ways = g.foreignWays(behind)
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
	own, err := b.ownWays(ctx, g, behind)
	if err != nil {
		return err
	}
	ways = slices.DeleteFunc(append(ways, own...), func(w *way) bool { return !b.wants(w.name) })
	cells := g.wayCells(ways)
	measure.Run(cells, b.rounds, b.window, progress)
	text := gateIntro + report.Made(b.command)
	for _, mode := range []caller.Mode{caller.MCP, caller.SSE} {
		t := report.Table{Title: "The whole way over " + string(mode), Mode: mode, Base: rowWayLimit, Cells: cells}
		text += t.Markdown() + "\n"
	}
	hits := report.Table{
		Title: "Remembered verdicts: a GET through the gate's nginx to a handler that answers `ok`",
		Mode:  caller.Plain,
		Base:  rowAlone,
		Cells: cells,
	}
	text += hits.Markdown() + "\n"
	hits.Title, hits.Base = "The same once more, the ratio to the gate's nginx without sign-in", rowOpen
	text += hits.Markdown() + "\n" + report.Faults(cells)
	fmt.Print(text)
	return report.Write(b.out, "part three", text)
}

// inner is what stands behind the authorisers.
type inner struct {
	bare, bridge, superMCP, superSSE *proc.Proc
	bearer                           map[string]string
}

func (b *bench) inner(ctx context.Context, g *gates) (*inner, error) {
	token, err := g.issuer.Access()
	if err != nil {
		return nil, err
	}
	start := func(name string, argv ...string) (p *proc.Proc) {
		if err == nil {
			p, err = b.start(ctx, name, argv)
		}
		return p
	}
	super := []string{
		"node",
		b.peer("supergateway/dist/index.js"),
		"--stdio",
		b.child(),
		"--port",
		"%PORT%",
		"--logLevel",
		"none",
		"--outputTransport",
	}
	i := &inner{bearer: map[string]string{"Authorization": "Bearer " + token}}
	i.bare = start("bare handler", filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child())
	i.bridge = start(
		"bridge",
		b.bridgeArgv(
			"--identity",
			"signed",
			"--identity-keys",
			"http://"+g.internal+contract.PathKeys,
			"--max-user-sessions",
			"1000",
		)...)
	i.superMCP = start("supergateway mcp", append(super, "streamableHttp", "--stateful")...)
	i.superSSE = start("supergateway sse", append(super, "sse")...)
	return i, err
}

// foreignWays are those through the benchmarks' nginx.
func (g *gates) foreignWays(i *inner) []*way {
	ways := []*way{
		{name: rowAlone, mode: caller.Plain, prefix: "/mcp", to: i.bare, header: i.bearer, levels: []int{1, 16}},
	}
	for _, mode := range []caller.Mode{caller.MCP, caller.SSE} {
		peer := i.superMCP
		if mode == caller.SSE {
			peer = i.superSSE
		}
		ways = append(
			ways,
			&way{name: "no auth, bare net/http", mode: mode, to: i.bare, header: i.bearer},
			&way{name: rowWayLimit, mode: mode, to: i.bare, ask: "floor", header: i.bearer, also: []*proc.Proc{g.floor}},
			&way{
				name:   "oauth2-proxy 7.15.4, supergateway 4.0.0",
				mode:   mode,
				to:     peer,
				ask:    "foreign",
				header: i.bearer,
				also:   []*proc.Proc{g.foreign, g.redis},
			},
		)
	}
	return ways
}

// ownWays are those through the gate's nginx, with and without its memory.
func (b *bench) ownWays(ctx context.Context, g *gates, i *inner) ([]*way, error) {
	asks, err := b.ownNginx(ctx, g, "nginx of the gate", i.bridge, 0)
	if err != nil {
		return nil, err
	}
	remembers, err := b.ownNginx(ctx, g, "nginx of the gate, verdicts", i.bridge, 2)
	if err != nil {
		return nil, err
	}
	bare, err := b.ownNginx(ctx, g, "nginx of the gate, bare", i.bare, 2)
	if err != nil {
		return nil, err
	}
	open, err := b.ownNginx(ctx, g, "nginx of the gate, open", i.bare, 2, withoutSignIn)
	if err != nil {
		return nil, err
	}
	cookie, err := g.login(ctx, g.client(), "/login?return_to=/open")
	if err != nil {
		return nil, fmt.Errorf("sign-in at authsvc: %w", err)
	}
	also := []*proc.Proc{g.authsvc, g.redis}
	hit := way{mode: caller.Plain, prefix: "/mcp", to: i.bare, nginx: bare, also: also, levels: []int{1, 16}}
	byNobody, byToken, byCookie := hit, hit, hit
	byNobody.name, byNobody.header, byNobody.nginx = rowOpen, i.bearer, open
	byToken.name, byToken.header = "the gate's nginx, Bearer", i.bearer
	byCookie.name, byCookie.header = "the gate's nginx, cookie", map[string]string{"Cookie": cookie}
	ways := []*way{&byNobody, &byToken, &byCookie}
	for _, mode := range []caller.Mode{caller.MCP, caller.SSE} {
		ways = append(ways,
			&way{name: "gatehouse, verdict_ttl = 0", mode: mode, to: i.bridge, nginx: asks, header: i.bearer, also: also},
			&way{name: "gatehouse, verdict_ttl = 2", mode: mode, to: i.bridge, nginx: remembers, header: i.bearer, also: also},
		)
	}
	return ways, nil
}

// withoutSignIn makes of a rendered tree the gate for a trusted network (docs/edge.md).
func withoutSignIn(dir string) error {
	path := filepath.Join(dir, "conf.d", "gatehouse.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(
		path,
		bytes.ReplaceAll(text, []byte("location/bridge.conf"), []byte("location/bridge_open.conf")),
		0o600,
	)
}

// ownNginx starts the repository's nginx tree, edited, in front of a bridge.
func (b *bench) ownNginx(
	ctx context.Context,
	g *gates,
	name string,
	bridge *proc.Proc,
	ttl int,
	edits ...func(dir string) error,
) (*proc.Proc, error) {
	root, err := stack.Root()
	if err != nil {
		return nil, err
	}
	addr, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	plain, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, fileName(name))
	v := stack.NginxValues{
		Cert: filepath.Join(b.dir, "cert.pem"), Key: filepath.Join(b.dir, "key.pem"), ServerNames: "127.0.0.1",
		Bridge: bridge.Addr, BridgeAdmin: bridge.Addr, Authsvc: g.authsvc.Addr, Limits: fmt.Sprintf(ownLimits, ttl),
	}
	if v.HTTPS, err = strconv.Atoi(proc.Port(addr)); err != nil {
		return nil, err
	}
	if v.HTTP, err = strconv.Atoi(proc.Port(plain)); err != nil {
		return nil, err
	}
	if err := stack.RenderNginx(root, dir, v); err != nil {
		return nil, err
	}
	for _, edit := range edits {
		if err := edit(dir); err != nil {
			return nil, err
		}
	}
	return b.startAt(
		ctx,
		name,
		addr,
		[]string{"nginx", "-e", dir + "/error.log", "-p", dir, "-c", dir + "/nginx.conf", "-g", "daemon off;"},
	)
}

// ownLimits is site/limits.conf with rates that one caller cannot reach.
const ownLimits = `map $uri $gatehouse_address { /health ""; default $gatehouse_network; }
limit_req_zone $gatehouse_address zone=mcp_global:10m rate=1000000r/s;
limit_req_zone $gatehouse_network zone=mcp_keycloak:1m rate=100r/s;
limit_req zone=mcp_global burst=1000000 nodelay;
init_by_lua_block { require("gatehouse.init").setup { user_rate = 1000000, user_burst = 1000000, verdict_ttl = %d } }
`

func (g *gates) wayCells(ways []*way) (cells []*measure.Cell) {
	for _, w := range ways {
		nginx, addr := g.nginx, w.addr
		if w.nginx != nil {
			nginx, addr = w.nginx, w.nginx.Addr
		}
		if w.levels == nil {
			w.levels = levels()
		}
		target := wire.Target{Addr: addr, TLS: g.tls, Header: w.header}
		for _, n := range w.levels {
			cells = append(cells, &measure.Cell{
				Target: w.name, Mode: w.mode, N: n, Prefix: w.prefix, Wire: func(int) wire.Target { return target },
				Procs: append([]*proc.Proc{w.to, nginx}, w.also...),
			})
		}
	}
	return cells
}
