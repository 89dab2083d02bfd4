package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/wire"
)

// He who takes much is a process of his own, at the lowest priority: on real
// machines his client's CPU is not that of the gate, and what he does in this
// program would delay those who are measured.

const (
	greedyCommand  = "greedy"         // of this program, for part fair
	greedyBody     = 1 << 20          // bytes
	greedyPatience = 20 * time.Second // a start and his place in the line
)

// greedy is what he is to do.
type greedy struct{ Way, Addr, Token string }

// greedyGot counts what he got, and tells the first refusal that is not the limit
// of a user.
type greedyGot struct {
	Good, Refused, Opened int64
	First                 string
}

func (g *greedyGot) add(more greedyGot) {
	g.Good, g.Refused, g.Opened = g.Good+more.Good, g.Refused+more.Refused, g.Opened+more.Opened
	if g.First == "" && more.First != "" {
		g.First = more.First
		progress("he who takes much: " + g.First)
	}
}

// greedyProc is the process.
type greedyProc struct {
	cmd *exec.Cmd
	end io.Closer
	out io.Reader
}

func startGreedy(ctx context.Context, g greedy) (*greedyProc, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", greedyCommand)
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 19); err != nil {
		return nil, err
	}
	return &greedyProc{cmd, in, out}, json.NewEncoder(in).Encode(g)
}

// stop ends it and tells what he got.
func (p *greedyProc) stop() (got greedyGot, err error) {
	_ = p.end.Close()
	if err := json.NewDecoder(p.out).Decode(&got); err != nil {
		return got, fmt.Errorf("he who takes much: %w", err)
	}
	return got, p.cmd.Wait()
}

// greed is a way in which one user takes much.
type greed struct {
	name string
	do   func(target wire.Target, got *tally)
}

func greeds() []greed {
	header, little := caller.Echo("x")
	_, much := caller.Echo(strings.Repeat("x", greedyBody))
	return []greed{
		{"calls", func(target wire.Target, got *tally) { takeCall(target, got, header, little) }},
		{"sends 1 MB with each call", func(target wire.Target, got *tally) { takeCall(target, got, header, much) }},
		{"opens sessions", func(target wire.Target, got *tally) {
			c := caller.NewPatient(caller.MCP, target, "", greedyPatience)
			if err := c.Open(); err != nil { // it is not closed: past his bound his idlest makes room
				got.no(err)
				return
			}
			got.opened.Add(1)
		}},
	}
}

// greeds are those that hold one of the words of -rows.
func (b *bench) greeds() (ways []greed) {
	words := strings.Split(b.only, ",")
	for _, way := range greeds() {
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(way.name, word) }) {
			ways = append(ways, way)
		}
	}
	return ways
}

// takeCall makes one call of 2026-07-28, which needs no session.
func takeCall(target wire.Target, got *tally, header string, body []byte) {
	conn := wire.New(target, greedyPatience)
	defer conn.Close()
	resp, err := conn.Do("POST", "/mcp", header, body)
	if err == nil && resp.Status != 200 {
		err = fmt.Errorf("status %d: %.200s", resp.Status, resp.Body)
	}
	if err != nil {
		got.no(err)
		return
	}
	got.good.Add(1)
}

// tally counts while he is at it.
type tally struct {
	good, refused, opened atomic.Int64
	first                 atomic.Pointer[string]
}

func (t *tally) no(err error) {
	t.refused.Add(1)
	if text := err.Error(); !strings.Contains(text, "status 429") {
		t.first.CompareAndSwap(nil, &text)
	}
}

// runGreedy is the process: it reads what to do, does it until its input ends,
// and writes what it got.
func runGreedy(in io.Reader, out io.Writer) int {
	var g greedy
	d := json.NewDecoder(in)
	if err := d.Decode(&g); err != nil {
		fmt.Fprintln(os.Stderr, "load greedy:", err)
		return 2
	}
	var got tally
	for _, way := range greeds() {
		if way.name == g.Way {
			take(g, way, &got, io.MultiReader(d.Buffered(), in))
		}
	}
	told := greedyGot{Good: got.good.Load(), Refused: got.refused.Load(), Opened: got.opened.Load()}
	if first := got.first.Load(); first != nil {
		told.First = *first
	}
	if err := json.NewEncoder(out).Encode(told); err != nil {
		return 1
	}
	return 0
}

func take(g greedy, way greed, got *tally, until io.Reader) {
	var over atomic.Bool
	var wg sync.WaitGroup
	for n := range fairBulk {
		target := fairTarget(g.Addr, g.Token, 1, byte(n+1))
		wg.Go(func() {
			for !over.Load() {
				way.do(target, got)
			}
		})
	}
	_, _ = io.Copy(io.Discard, until)
	over.Store(true)
	wg.Wait()
}
