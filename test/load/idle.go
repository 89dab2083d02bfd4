package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

// partIdle opens many SSE streams that say nothing, and weighs them.
func partIdle(ctx context.Context, b *bench) error {
	text := "## Idle SSE streams\n\n" + report.Made(b.command+" STREAMS="+strconv.Itoa(b.streams)) +
		"| target | streams | RSS KB a stream | goroutines a stream | calls answered, one on each |\n" +
		"|---|---:|---:|---:|---:|\n"
	limit, err := b.start(ctx, rowLimit, []string{filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child()})
	if err != nil {
		return err
	}
	kb, err := b.weighBare(limit)
	if err != nil {
		return fmt.Errorf("bare handler: %w", err)
	}
	text += fmt.Sprintf("| bare net/http SSE handler | %d | %.1f | - | - |\n", b.streams, kb)
	line, err := b.idleBridge(ctx, kb)
	if err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	text += line + "\n"
	fmt.Print(text)
	return report.Write(b.out, "idle streams", text)
}

func (b *bench) weighBare(p *proc.Proc) (float64, error) {
	before, err := proc.Resident(p)
	if err != nil {
		return 0, err
	}
	for range b.streams {
		c := wire.New(wire.Target{Addr: p.Addr}, caller.Timeout)
		defer c.Close()
		r, err := c.Stream("/idle", "")
		if err != nil {
			return 0, err
		}
		if _, err := r.ReadSlice('\n'); err != nil {
			return 0, err
		}
	}
	after, err := proc.Resident(p)
	return float64(after-before) / float64(b.streams), err
}

func (b *bench) idleBridge(ctx context.Context, bare float64) (string, error) {
	admin, err := proc.FreeAddr()
	if err != nil {
		return "", err
	}
	p, err := b.start(
		ctx,
		"bridge shared",
		b.bridgeArgv("--identity", "none", "--isolation", "shared", "--admin-listen", admin,
			"--max-sessions", strconv.Itoa(b.streams+10), "--max-user-sessions", strconv.Itoa(b.streams+10)),
	)
	if err != nil {
		return "", err
	}
	before, err := proc.Resident(p)
	if err != nil {
		return "", err
	}
	goroutines := goroutinesAt(admin)
	callers := make([]caller.Caller, b.streams)
	for i := range callers {
		callers[i] = caller.New(caller.SSE, wire.Target{Addr: p.Addr}, "")
		defer callers[i].Close()
		if err := callers[i].Open(); err != nil {
			return "", fmt.Errorf("stream %d: %w", i, err)
		}
		if r, ok := callers[i].(caller.Rester); ok {
			r.Rest()
		}
	}
	after, err := proc.Resident(p)
	if err != nil {
		return "", err
	}
	each := (goroutinesAt(admin) - goroutines) / float64(b.streams)
	good := 0
	for _, c := range callers {
		if v, _ := c.Call(1); v == caller.Good {
			good++
		}
	}
	kb := float64(after-before) / float64(b.streams)
	return fmt.Sprintf(
		"| bridge, `--isolation shared`, sessions initialised | %d | %.1f (%.2f of bare) | %.1f | %d of %d |\n",
		b.streams,
		kb,
		kb/bare,
		each,
		good,
		b.streams,
	), nil
}

// goroutinesAt reads the gauge that the admin listener shows, 0 without it.
func goroutinesAt(admin string) float64 { return gaugeAt(admin, "go_goroutines") }

// gaugeAt adds up what the admin listener shows under a name, 0 without it.
func gaugeAt(admin, name string) (all float64) {
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	series := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(?:\{[^\n]*\})? (\S+)$`)
	for _, m := range series.FindAllSubmatch(body, -1) {
		n, _ := strconv.ParseFloat(string(m[1]), 64)
		all += n
	}
	return all
}
