package main

import (
	"context"
	"crypto/tls"
	"fmt"

	"gatehouse/test/issuer"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

const lookers = 64 // sessions that are looked at in turn

const redisIntro = "## What sessions cost Redis\n\nRedis without persistence, behind authsvc and nginx as in part two. " +
	"A look is what authsvc asks for one request with a cookie that it does not remember; a sign-in is the whole of one, with its first request. " +
	"The CPU is that of Redis alone, which does all of it on one core.\n\n"

// partRedis measures what a look and a sign-in cost Redis, and what it keeps.
func partRedis(ctx context.Context, b *bench) error {
	idp, err := issuer.Start(ctx)
	if err != nil {
		return err
	}
	defer idp.Close()
	g := &gates{
		issuer: idp, remember: 2, // so that every request is a look
		tls: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a certificate of this run, on loopback
	}
	if err := b.startGates(ctx, g, nil); err != nil {
		return err
	}
	look := &measure.Cell{
		Target: "a look", Mode: caller.Plain, N: lookers, Prefix: "/gate", Procs: []*proc.Proc{g.redis},
	}
	targets := make([]wire.Target, lookers)
	for i := range targets {
		cookie, err := g.login(ctx, g.client(), "/login?return_to=/open")
		if err != nil {
			return fmt.Errorf("sign-in: %w", err)
		}
		targets[i] = wire.Target{Addr: g.nginx.Addr, TLS: g.tls, Header: map[string]string{"Cookie": cookie}}
	}
	look.Wire = func(caller int) wire.Target { return targets[caller] }
	measure.Run([]*measure.Cell{look}, b.rounds, b.window, progress)
	looked := look.Figure()
	if looked.Err != nil {
		return looked.Err
	}
	before, err := proc.Measure(g.redis)
	if err != nil {
		return err
	}
	if _, err := g.live(ctx, b.sessions); err != nil {
		return fmt.Errorf("live sessions: %w", err)
	}
	after, err := proc.Measure(g.redis)
	if err != nil {
		return err
	}
	took, n := after.Sub(before), float64(b.sessions)
	text := redisIntro + report.Made(b.command) + "| what | of Redis |\n|---|---:|\n" +
		fmt.Sprintf("| CPU of 10,000 looks, s | %.3f |\n", looked.CPU10k.Seconds()) +
		fmt.Sprintf("| CPU of 10,000 sign-ins, s | %.2f |\n", took.CPU.Seconds()*1e4/n) +
		fmt.Sprintf("| memory of a session, KB | %.1f |\n\n", float64(took.RSSKB)/n)
	fmt.Print(text)
	return report.Write(b.out, "redis", text)
}
