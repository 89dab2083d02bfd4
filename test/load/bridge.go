package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

// Row names, as they stand in the tables.
const (
	rowLimit   = "limit: bare net/http"
	rowSame    = "limit: bare net/http, sent the same headers"
	rowBridge  = "bridge, signed identity"
	rowNone    = "bridge, no identity"
	rowUnboxed = "bridge, no identity, no box for its children"
	rowWhole   = "bridge, signed, policy, audit, metrics"
	rowEarlier = "earlier build" // prefix of the rows of -beside
	rowSuper   = "supergateway 4.0.0"
	rowProxy   = "mcp-proxy 6.7.19 (npm)"
	bridgeIntr = "## Part one: the bridge\n\nClosed loop, every answer checked, a fast echo child in Go, " +
		"medians of interleaved rounds. " +
		"The ratio is to the bare net/http handler in the same run. " +
		"What says who calls is a header of some 480 bytes, which net/http reads and checks before any handler: " +
		"the table of signed callers has the ratio to the handler that is sent it, too, and does not look at it. " +
		"A peer that hands one caller's answer to another has it under foreign. " +
		"CPU is of the program and its children, and the time to open a session holds the start of its child; " +
		"both at the largest number of callers.\n\n"
)

func levels() []int { return []int{1, 8, 32} }

func (b *bench) child() string  { return filepath.Join(b.tools, "child") }
func (b *bench) bridge() string { return filepath.Join(b.bin, "bridge") }
func (b *bench) peer(path string) string {
	return filepath.Join(b.tools, "peers", "node_modules", path)
}

// wants tells whether the row was asked for.
func (b *bench) wants(name string) bool {
	for word := range strings.SplitSeq(b.only, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// row is a target with the eras in which it is asked.
type row struct {
	name    string
	argv    []string
	modes   []caller.Mode
	headers []map[string]string // for each caller; nil for none
}

func partBridge(ctx context.Context, b *bench) error {
	auth, err := newAuthority(ctx)
	if err != nil {
		return err
	}
	defer auth.close()
	headers, err := auth.headers(32)
	if err != nil {
		return err
	}
	rows, err := b.rows(auth.url, headers)
	if err != nil {
		return err
	}
	var cells []*measure.Cell
	for _, r := range rows {
		if !b.wants(r.name) {
			continue
		}
		p, err := b.start(ctx, r.name+" "+string(r.modes[0]), r.argv)
		if err != nil {
			return err
		}
		cells = append(cells, cellsOf(r, p)...)
	}
	measure.Run(cells, b.rounds, b.window, progress)
	text := bridgeIntr + report.Made(b.command)
	for _, t := range []report.Table{
		{Title: "Streamable HTTP with sessions (2025-06-18)", Mode: caller.MCP, Base: rowLimit, Cells: cells},
		{
			Title: "Signed callers, the ratio to the handler that is sent the same headers",
			Mode:  caller.MCP, Base: rowSame, Cells: signedOnly(cells),
		},
		{
			Title: "Stateless (2026-07-28), the child of the older kind; ratio to the session figure of the limit",
			Mode:  caller.Stateless, Base: rowLimit, BaseMode: caller.MCP, Cells: cells,
		},
		{Title: "HTTP+SSE (2024-11-05)", Mode: caller.SSE, Base: rowLimit, Cells: cells},
		{
			Title: "HTTP+SSE once more, the ratio to the bridge's own session figure",
			Mode:  caller.SSE, Base: rowBridge, BaseMode: caller.MCP, Cells: cells,
		},
	} {
		text += t.Markdown() + "\n"
	}
	fmt.Print(text)
	return report.Write(b.out, "part one", text+report.Faults(cells))
}

func (b *bench) rows(keys string, headers []map[string]string) ([]row, error) {
	all := []caller.Mode{caller.MCP, caller.Stateless, caller.SSE}
	super := func(mode caller.Mode, flags ...string) row {
		argv := append(
			[]string{
				"node",
				b.peer("supergateway/dist/index.js"),
				"--stdio",
				b.child(),
				"--port",
				"%PORT%",
				"--logLevel",
				"none",
			},
			flags...)
		return row{name: rowSuper, argv: argv, modes: []caller.Mode{mode}}
	}
	rows := []row{
		{
			name:  rowLimit,
			argv:  []string{filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child()},
			modes: []caller.Mode{caller.MCP, caller.SSE},
		},
		{
			name:    rowSame,
			argv:    []string{filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child()},
			modes:   []caller.Mode{caller.MCP},
			headers: headers,
		},
		super(caller.MCP, "--outputTransport", "streamableHttp", "--stateful"),
		super(caller.Stateless, "--outputTransport", "streamableHttp"),
		super(caller.SSE, "--outputTransport", "sse"),
		{
			name: rowProxy,
			argv: []string{
				"node",
				b.peer("mcp-proxy/dist/bin/mcp-proxy.mjs"),
				"--host",
				"127.0.0.1",
				"--port",
				"%PORT%",
				"--",
				b.child(),
			},
			modes: all,
		},
	}
	if _, err := os.Stat(b.bridge()); err != nil {
		return rows, nil //nolint:nilerr // without a bridge the others are measured
	}
	ours, err := b.ours("", b.bridge(), keys, headers)
	if err != nil || b.beside == "" {
		return append(rows, ours...), err
	}
	earlier, err := b.ours(rowEarlier+": ", b.beside, keys, headers)
	return slices.Concat(rows, ours, earlier), err
}

// ours are the rows of one build of the bridge.
func (b *bench) ours(prefix, program, keys string, headers []map[string]string) ([]row, error) {
	all := []caller.Mode{caller.MCP, caller.Stateless, caller.SSE}
	signed := []string{"--identity", "signed", "--identity-keys", keys + "/internal/keys"}
	governed, err := b.governed("part-one"+strings.TrimSuffix(prefix, ": "), policyText(""))
	if err != nil {
		return nil, err
	}
	rows := []row{
		{name: prefix + rowBridge, argv: b.argvOf(program, signed...), modes: all, headers: headers},
		{name: prefix + rowWhole, argv: b.argvOf(program, append(governed, signed...)...), modes: all, headers: headers},
		{name: prefix + rowNone, argv: b.argvOf(program, "--identity", "none"), modes: all},
	}
	if prefix == "" { // an earlier build may not know the flag
		rows = append(rows, row{
			name: rowUnboxed, argv: b.argvOf(program, "--identity", "none", "--sandbox", "off"),
			modes: []caller.Mode{caller.MCP},
		})
	}
	return rows, nil
}

func (b *bench) bridgeArgv(flags ...string) []string { return b.argvOf(b.bridge(), flags...) }

func (b *bench) argvOf(program string, flags ...string) []string {
	argv := append([]string{program, "--listen", "%ADDR%", "--log-level", "warn"}, flags...)
	return append(argv, "--", b.child())
}

// signedOnly are the cells of rows whose requests say who calls.
func signedOnly(cells []*measure.Cell) []*measure.Cell {
	return slices.DeleteFunc(slices.Clone(cells), func(c *measure.Cell) bool {
		return c.Target != rowSame && !strings.Contains(c.Target, "signed")
	})
}

func cellsOf(r row, p *proc.Proc) []*measure.Cell {
	var cells []*measure.Cell
	for _, mode := range r.modes {
		for _, n := range levels() {
			cells = append(cells, &measure.Cell{Target: r.name, Mode: mode, N: n})
		}
	}
	r.point(cells, p)
	return cells
}

// point makes the process what the row's cells measure.
func (r row) point(cells []*measure.Cell, p *proc.Proc) {
	to := func(i int) wire.Target {
		t := wire.Target{Addr: p.Addr}
		if r.headers != nil {
			t.Header = r.headers[i]
		}
		return t
	}
	for _, c := range cells {
		c.Wire, c.Procs = to, []*proc.Proc{p}
	}
}
