// Command load measures gatehouse beside its peers and beside the limit of
// net/http, in one run, and writes the tables of docs/benchmarks.md. It
// promises to check every answer and to leave no program behind. It must never
// import what it measures: only the contract, to sign as authsvc does.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/test/load/internal/proc"
)

type options struct {
	parts    []string
	rounds   int
	window   time.Duration
	streams  int
	sessions int
	hold     time.Duration // of parts gate-idle and scale
	scale    scale
	only     string // of parts bridge, gate and fair: those whose names hold one of these words
	beside   string // of part bridge: an earlier build of the bridge, measured too
	bin      string // bridge, authsvc
	tools    string // limit, child, oauth2-proxy, node_modules
	out      string
	command  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	if len(args) == 1 && args[0] == greedyCommand {
		return runGreedy(os.Stdin, os.Stdout)
	}
	o, err := parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		return 2
	}
	all := []struct {
		name string
		do   func(context.Context, *bench) error
	}{
		{"bridge", partBridge}, {"idle", partIdle}, {"auth", partAuth}, {"redis", partRedis}, {"gate", partGate},
		{"gate-idle", partGateIdle}, {"policy", partPolicy}, {"connect", partConnect},
		{"scale", partScale}, {"fair", partFair}, {"door", partDoor},
	}
	code := 0
	for _, part := range all {
		if !slices.Contains(o.parts, part.name) {
			continue
		}
		if err := runPart(ctx, o, part.do); err != nil {
			fmt.Fprintf(os.Stderr, "load: part %s: %v\n", part.name, err)
			code = 1
		}
	}
	return code
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	parts := fs.String("part", "bridge,idle,auth,redis,gate,policy,connect", "what to measure")
	fs.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	fs.DurationVar(&o.window, "window", time.Second, "time of one measurement")
	fs.IntVar(&o.streams, "streams", 2000, "idle streams")
	fs.IntVar(&o.sessions, "sessions", 10000, "live sessions at authsvc")
	fs.DurationVar(&o.hold, "hold", 10*time.Minute, "how long part gate-idle holds its streams, and part scale calls")
	o.scale.flags(fs)
	fs.StringVar(
		&o.only,
		"rows",
		"",
		"of parts bridge, gate and fair only the rows that hold one of these words, as in limit,signed",
	)
	fs.StringVar(&o.beside, "beside", "", "of part bridge: an earlier build of the bridge, measured in the same rounds")
	fs.StringVar(&o.bin, "bin", "bin", "folder of bridge and authsvc")
	fs.StringVar(&o.tools, "tools", ".cache/load", "folder of the limit, the child and the peers")
	fs.StringVar(&o.out, "out", "docs/benchmarks.md", "page to write")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.window < 10*time.Millisecond {
		return o, fmt.Errorf("-rounds %d -window %v: want at least 1 round of 10ms", o.rounds, o.window)
	}
	o.parts = strings.Split(*parts, ",")
	o.command = fmt.Sprintf("make bench PART=%s ROUNDS=%d WINDOW=%v", *parts, o.rounds, o.window)
	if o.only != "" {
		o.command += " ROWS=" + o.only
	}
	if o.beside != "" {
		o.command += " BESIDE=" + filepath.Base(o.beside)
	}
	return o, nil
}

// bench holds the programs of one part.
type bench struct {
	options
	dir   string
	procs []*proc.Proc
}

func runPart(ctx context.Context, o options, do func(context.Context, *bench) error) error {
	dir, err := os.MkdirTemp("", "gatehouse-load-")
	if err != nil {
		return err
	}
	b := &bench{options: o, dir: dir}
	err = do(ctx, b)
	b.stop(0)
	if err == nil {
		return os.RemoveAll(dir)
	}
	return fmt.Errorf("%w (logs are in %s)", err, dir)
}

// stop ends the programs that were started after the first n.
func (b *bench) stop(n int) {
	for _, p := range slices.Backward(b.procs[n:]) {
		p.Stop()
	}
	b.procs = b.procs[:n]
}

// start runs a program of which %ADDR% and %PORT% stand in argv for a free address.
func (b *bench) start(ctx context.Context, name string, argv []string, env ...string) (*proc.Proc, error) {
	addr, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	return b.startAt(ctx, name, addr, argv, env...)
}

func (b *bench) startAt(ctx context.Context, name, addr string, argv []string, env ...string) (*proc.Proc, error) {
	fill := strings.NewReplacer("%ADDR%", addr, "%PORT%", proc.Port(addr))
	full := make([]string, len(argv))
	for i, arg := range argv {
		full[i] = fill.Replace(arg)
	}
	p, err := proc.Start(
		ctx,
		proc.Spec{Name: name, Argv: full, Env: env, Addr: addr, Log: b.dir + "/" + fileName(name) + ".log"},
	)
	if err != nil {
		return nil, err
	}
	b.procs = append(b.procs, p)
	return p, nil
}

func fileName(name string) string { return strings.NewReplacer(" ", "-", "/", "-").Replace(name) }

func progress(line string) { fmt.Fprintln(os.Stderr, line) }
