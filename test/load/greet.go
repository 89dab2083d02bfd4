package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/wire"
)

const (
	greetServers = 10
	greetEach    = 100         // sessions of a row in one round
	greetTime    = time.Minute // for one of them
	greetReady   = 3 * time.Minute
	greetIntro   = "### A new session over ten Python servers\n\n" +
		"Ten times mcp-server-time 2026.10.19, a child for each session. " +
		"From the connection to the whole answer of tools/list: connect, initialize, initialized, tools/list. " +
		"Every list is looked at: the tools of all ten are there. " +
		"The first session of all comes while the bridge starts each server to see whether it can.\n\n"
)

// greeting is one row: sessions that are opened, n of them at once.
type greeting struct {
	name    string
	servers []string // whose tools are listed
	n       int
	took    []time.Duration
	started float64 // children
}

// greet measures how long a new session waits for its tools.
func (b *bench) greet(ctx context.Context) (string, error) {
	names := make([]string, greetServers)
	entries := map[string]any{}
	program := filepath.Join(filepath.Dir(b.tools), "servers/venv/bin/mcp-server-time")
	for i := range names {
		names[i] = fmt.Sprintf("s%d", i)
		entries[names[i]] = map[string]any{"command": program}
	}
	file := filepath.Join(b.dir, "python.json")
	raw, err := json.Marshal(map[string]any{"mcpServers": entries})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return "", err
	}
	admin, err := proc.FreeAddr()
	if err != nil {
		return "", err
	}
	p, err := b.start(ctx, "bridge of ten Python servers", []string{
		b.bridge(), "--listen", "%ADDR%", "--admin-listen", admin, "--log-level", "error", "--config", file,
	})
	if err != nil {
		return "", err
	}
	target := wire.Target{Addr: p.Addr}
	first, err := waitForAll(ctx, target, names)
	if err != nil {
		return "", err
	}
	rows := []*greeting{
		{name: "one after another", servers: names, n: 1},
		{name: "eight at once", servers: names, n: 8},
	}
	for round := range b.rounds {
		for _, g := range rows {
			before := startedAt(admin)
			proc.Settle(greetTime) // children of the sessions before are ending
			if err := g.round(target); err != nil {
				return "", fmt.Errorf("new sessions, %s: %w", g.name, err)
			}
			g.started += startedAt(admin) - before
			progress(fmt.Sprintf("round %d/%d new sessions, %s: p50 %.1f ms",
				round+1, b.rounds, g.name, percentile(g.took, 0.5)))
		}
	}
	return greetTable(first, rows), nil
}

// waitForAll opens sessions until one is told the tools of all servers, and
// returns how long the very first took: each server is started then.
func waitForAll(ctx context.Context, target wire.Target, names []string) (first time.Duration, err error) {
	for end := time.Now().Add(greetReady); ctx.Err() == nil && time.Now().Before(end); {
		began := time.Now()
		list, leave, visited := caller.Visit(target, "", greetTime)
		if first == 0 {
			first = time.Since(began)
		}
		leave()
		if err = visited; err == nil {
			if err = complete(list, names); err == nil {
				return first, nil
			}
		}
		proc.Settle(greetTime) // what starts needs the processors
	}
	return first, fmt.Errorf("no new session is told all tools: %w", err)
}

// complete looks for the tools of each server.
func complete(list []byte, names []string) error {
	for _, name := range names {
		for _, tool := range []string{"get_current_time", "convert_time"} {
			if !bytes.Contains(list, fmt.Appendf(nil, `"%s__%s"`, name, tool)) {
				return fmt.Errorf("tools/list is without %s of %s: %.300s", tool, name, list)
			}
		}
	}
	return nil
}

// round opens the row's sessions, n at once, and leaves them when all have their
// lists.
func (g *greeting) round(target wire.Target) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range g.n {
		all.Go(func() {
			for range greetEach / g.n {
				began := time.Now()
				list, leave, err := caller.Visit(target, "", greetTime)
				took := time.Since(began)
				defer leave()
				if err == nil {
					err = complete(list, g.servers)
				}
				mu.Lock()
				g.took = append(g.took, took)
				if failed == nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return failed
}

// startedAt is how many children of servers were started: the door counts as
// one for each session, under no name.
func startedAt(admin string) float64 {
	const name = "gatehouse_children_started_total"
	return gaugeAt(admin, name) - gaugeAt(admin, name+`{gatehouse_server=""}`)
}

func greetTable(first time.Duration, rows []*greeting) string {
	text := greetIntro + "| new sessions | measured | p50 ms | p99 ms | children started |\n|---|---:|---:|---:|---:|\n" +
		fmt.Sprintf("| the first of all, nothing is remembered | 1 | %d | - | - |\n", first.Milliseconds())
	for _, g := range rows {
		text += fmt.Sprintf("| %s | %d | %.1f | %.1f | %.0f |\n",
			g.name, len(g.took), percentile(g.took, 0.5), percentile(g.took, 0.99), g.started)
	}
	return text + "\n"
}
