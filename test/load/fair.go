package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/contract"
	"gatehouse/test/issuer"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
	"gatehouse/test/stack"
)

const (
	fairUsers = 16
	fairPause = 220 * time.Millisecond // between two calls of a quiet user: under the 5 a second that ship
	fairBulk  = 16                     // connections of the user who calls in bulk, each at an address of its own
	fairBurn  = 600 * time.Millisecond // of CPU for each start, as server-everything takes
	fairIntro = "## Fair shares\n\nWhat quiet users feel of one who takes all that he gets. " +
		"The whole way: TLS, nginx with the limits that ship, authsvc, the bridge, a child for each session " +
		"whose start costs 600 ms of CPU, as that of a server in Node does. " +
		"Quiet are 16 users with a session each, at an address of their own, who call at most 4 times a second. " +
		"The other has 16 connections, each from an address of its own, and never pauses. " +
		"His client runs at the lowest priority, as if it were on another machine. " +
		"Alone and beside him are measured in turn, and the ratio is the median of the rounds' own.\n\n"
)

// partFair measures the latency of quiet users alone, and beside a user who
// calls, sends or opens in bulk.
func partFair(ctx context.Context, b *bench) error {
	idp, err := issuer.Start(ctx)
	if err != nil {
		return err
	}
	defer idp.Close()
	insecure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a certificate of this run, on loopback
	g := &gates{issuer: idp, tls: insecure}
	if err := b.startGates(ctx, g, nil); err != nil {
		return err
	}
	argv := b.bridgeArgv("--identity", "signed", "--identity-keys", "http://"+g.internal+contract.PathKeys)
	bridge, err := b.start(ctx, "bridge", append(argv, "-burn", fairBurn.String()))
	if err != nil {
		return err
	}
	nginx, err := b.ownNginx(ctx, g, "nginx of the gate", bridge, 2, shippedLimits)
	if err != nil {
		return err
	}
	f := &fair{gates: g, nginx: nginx}
	if err := f.seat(); err != nil {
		return err
	}
	defer f.leave()
	text := fairIntro + report.Made(b.command) +
		"| beside one who | quiet p50 ms: alone, beside | quiet p99 ms: alone, beside | p99 ratio | he got, each second |\n" +
		"|---|---:|---:|---:|---|\n"
	ways := b.greeds()
	rows := make([]fairRow, len(ways))
	for round := range b.rounds {
		for i, k := range ways {
			if err := f.round(ctx, &rows[i], k.name, b.window); err != nil {
				return err
			}
			progress(fmt.Sprintf("round %d/%d beside one who %s: p99 ratio %.2f", round+1, b.rounds, k.name, rows[i].last()))
		}
	}
	for i, k := range ways {
		text += rows[i].line(k.name, b.window*time.Duration(b.rounds))
	}
	text += "\n"
	fmt.Print(text)
	return report.Write(b.out, "fair shares", text)
}

// shippedLimits puts the file that ships back into a rendered tree.
func shippedLimits(dir string) error {
	root, err := stack.Root()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, "nginx", "site", "limits.conf"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "site", "limits.conf"), text, 0o600)
}

type fair struct {
	*gates
	nginx *proc.Proc
	quiet []caller.Caller
	seq   int
	bulk  string // the one token of the user in bulk: each login has a child of its own
}

// fairTarget is who shows the token, at an address.
func fairTarget(addr, token string, block, number byte) wire.Target {
	return wire.Target{
		Addr: addr, From: net.IPv4(127, 4, block, number),
		TLS:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a certificate of this run, on loopback
		Header: map[string]string{"Authorization": "Bearer " + token},
	}
}

// seat opens the quiet users' sessions.
func (f *fair) seat() error {
	for n := range fairUsers {
		token, err := f.issuer.AccessAs(fmt.Sprintf("quiet-%d", n))
		if err != nil {
			return err
		}
		c := caller.New(caller.MCP, fairTarget(f.nginx.Addr, token, 0, byte(n+1)), "")
		f.quiet = append(f.quiet, c)
		if err := c.Open(); err != nil {
			return err
		}
	}
	var err error
	f.bulk, err = f.issuer.AccessAs("bulk")
	return err
}

func (f *fair) leave() {
	for _, c := range f.quiet {
		c.Close()
	}
}

// round measures the quiet users alone, and then beside the other.
func (f *fair) round(ctx context.Context, row *fairRow, way string, window time.Duration) error {
	alone, err := f.listen(window)
	if err != nil {
		return err
	}
	other, err := startGreedy(ctx, greedy{Way: way, Addr: f.nginx.Addr, Token: f.bulk})
	if err != nil {
		return err
	}
	beside, err := f.listen(window)
	got, gone := other.stop()
	row.got.add(got)
	err = cmp.Or(err, gone)
	proc.Settle(10 * time.Second)
	row.add(alone, beside)
	return err
}

// listen lets every quiet user call for the window, and returns how long each
// call took, in ms.
func (f *fair) listen(window time.Duration) ([]float64, error) {
	f.seq += 1_000_000 // ids that no window before had
	all := make([][]float64, len(f.quiet))
	errs := make([]error, len(f.quiet))
	end := time.Now().Add(window)
	var wg sync.WaitGroup
	for i, c := range f.quiet {
		wg.Go(func() {
			time.Sleep(fairPause * time.Duration(i) / fairUsers) // users do not keep step
			pace := time.NewTicker(fairPause)
			defer pace.Stop()
			for seq := f.seq; time.Now().Before(end); seq++ {
				<-pace.C
				began := time.Now()
				if v, err := c.Call(seq); v != caller.Good {
					errs[i] = fmt.Errorf("a quiet user's call came to verdict %d: %w", v, err)
					return
				}
				all[i] = append(all[i], float64(time.Since(began).Microseconds())/1000)
			}
		})
	}
	wg.Wait()
	return slices.Concat(all...), cmp.Or(errs...)
}

// fairRow is what the rounds of one row came to.
type fairRow struct {
	alone50, beside50, alone99, beside99, ratios []float64
	got                                          greedyGot
}

func (r *fairRow) add(alone, beside []float64) {
	r.alone50, r.beside50 = append(r.alone50, quantile(alone, 0.5)), append(r.beside50, quantile(beside, 0.5))
	r.alone99, r.beside99 = append(r.alone99, quantile(alone, 0.99)), append(r.beside99, quantile(beside, 0.99))
	r.ratios = append(r.ratios, r.beside99[len(r.beside99)-1]/r.alone99[len(r.alone99)-1])
}

func (r *fairRow) last() float64 { return r.ratios[len(r.ratios)-1] }

func (r *fairRow) line(name string, spent time.Duration) string {
	each := func(n int64) float64 { return float64(n) / spent.Seconds() }
	return fmt.Sprintf("| %s | %.1f, %.1f | %.1f, %.1f | %.2f | %.1f answers, %.1f sessions, %.0f refusals |\n", name,
		measure.Median(r.alone50), measure.Median(r.beside50), measure.Median(r.alone99), measure.Median(r.beside99),
		measure.Median(r.ratios), each(r.got.Good), each(r.got.Opened), each(r.got.Refused))
}

// quantile of the values, 0 of none.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}
