package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/report"
)

// Row names of part door.
const (
	rowOne    = "one of ten, at its own path"
	rowAll    = "the same one, at /mcp of all ten"
	doorIntro = "## Ten servers as one\n\nOne bridge with ten servers in its file, the same call at the path of one " +
		"and at the path of all, the ratio to the former. Every answer checked, medians of interleaved rounds.\n\n"
)

// partDoor measures what it costs to come by the door of all servers.
func partDoor(ctx context.Context, b *bench) error {
	// The callers ask for "echo", and the child does not mind its tool's name: of
	// the server e, with ch between, that is the tool o.
	var entries []string
	for _, name := range []string{"e", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"} {
		entries = append(entries, fmt.Sprintf(`%q: {"command": %q}`, name, b.child()))
	}
	file := filepath.Join(b.dir, "ten.json")
	if err := os.WriteFile(file, []byte(`{"mcpServers": {`+strings.Join(entries, ", ")+`}}`), 0o600); err != nil {
		return err
	}
	p, err := b.start(ctx, "bridge of ten", []string{
		b.bridge(), "--listen", "%ADDR%", "--log-level", "error", "--config", file, "--name-separator", "ch",
	})
	if err != nil {
		return err
	}
	modes := []caller.Mode{caller.MCP, caller.Stateless}
	one, all := cellsOf(row{name: rowOne, modes: modes}, p), cellsOf(row{name: rowAll, modes: modes}, p)
	for _, c := range one {
		c.Prefix = "/servers/e"
	}
	cells := append(one, all...)
	measure.Run(cells, b.rounds, b.window, progress)
	b.stop(0)
	greeted, err := b.greet(ctx)
	if err != nil {
		return err
	}
	text := doorIntro + report.Made(b.command)
	for _, t := range []report.Table{
		{Title: "Streamable HTTP with sessions (2025-06-18)", Mode: caller.MCP, Base: rowOne, Cells: cells},
		{Title: "Stateless (2026-07-28)", Mode: caller.Stateless, Base: rowOne, Cells: cells},
	} {
		text += t.Markdown() + "\n"
	}
	text += greeted
	fmt.Print(text)
	return report.Write(b.out, "ten servers", text+report.Faults(cells))
}
