package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"time"

	"gatehouse/internal/contract"
	"gatehouse/test/issuer"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

const gateStreams = 500

// partGateIdle holds many silent streams open through the whole gate, weighs
// them at nginx, and calls on each of them at the end.
func partGateIdle(ctx context.Context, b *bench) error {
	idp, err := issuer.Start(ctx)
	if err != nil {
		return err
	}
	defer idp.Close()
	g := &gates{
		issuer: idp,
		tls:    &tls.Config{InsecureSkipVerify: true},
	} //nolint:gosec // a certificate of this run, on loopback
	if err := b.startGates(ctx, g, nil); err != nil {
		return err
	}
	most := strconv.Itoa(gateStreams + 10)
	bridge, err := b.start(
		ctx,
		"bridge shared",
		b.bridgeArgv("--identity", "signed", "--identity-keys", "http://"+g.internal+contract.PathKeys,
			"--isolation", "shared", "--max-sessions", most, "--max-user-sessions", most),
	)
	if err != nil {
		return err
	}
	nginx, err := b.ownNginx(ctx, g, "nginx of the gate", bridge, 2)
	if err != nil {
		return err
	}
	line, err := b.holdOpen(ctx, g, nginx)
	if err != nil {
		return err
	}
	text := "## Idle streams through the gate\n\nnginx is the tree of `nginx/` and `lua/`; " +
		"the weight is of its workers together, TLS included.\n\n" +
		report.Made(b.command+" HOLD="+b.hold.String()) +
		"| streams | held for | RSS KB a stream at nginx | still open, each answered a call |\n" +
		"|---:|---:|---:|---:|\n" + line + "\n"
	fmt.Print(text)
	return report.Write(b.out, "idle streams through the gate", text)
}

func (b *bench) holdOpen(ctx context.Context, g *gates, nginx *proc.Proc) (string, error) {
	token, err := g.issuer.Access()
	if err != nil {
		return "", err
	}
	target := wire.Target{Addr: nginx.Addr, TLS: g.tls, Header: map[string]string{"Authorization": "Bearer " + token}}
	warm, err := openIdle(target, 50) // what a worker takes once is no stream's weight
	closeIdle(warm)
	if err != nil {
		return "", err
	}
	before, err := proc.Measure(nginx)
	if err != nil {
		return "", err
	}
	callers, err := openIdle(target, gateStreams)
	defer closeIdle(callers)
	if err != nil {
		return "", err
	}
	after, err := proc.Measure(nginx)
	if err != nil {
		return "", err
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(b.hold):
	}
	good := 0
	for _, c := range callers {
		if v, _ := c.Call(1); v == caller.Good {
			good++
		}
	}
	return fmt.Sprintf(
		"| %d | %v | %.1f | %d |\n",
		gateStreams,
		b.hold,
		float64(after.Sub(before).RSSKB)/gateStreams,
		good,
	), nil
}

// openIdle opens sessions of the older kind and leaves each its stream alone.
func openIdle(target wire.Target, n int) ([]caller.Caller, error) {
	callers := make([]caller.Caller, n)
	for i := range callers {
		callers[i] = caller.New(caller.SSE, target, "")
		if err := callers[i].Open(); err != nil {
			return callers[:i+1], fmt.Errorf("stream %d: %w", i, err)
		}
		if r, ok := callers[i].(caller.Rester); ok {
			r.Rest()
		}
	}
	return callers, nil
}

func closeIdle(callers []caller.Caller) {
	for _, c := range callers {
		c.Close()
	}
}
