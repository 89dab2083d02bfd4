// Bridge turns a stdio MCP server into SSE and Streamable HTTP. It only wires:
// each concern has a package of its own under internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/guard"
	"gatehouse/internal/httpkit"
)

// gcPercent lets the heap treble before it is collected: it is small, and what
// a call leaves behind is most of it. A tenth of a call's cost was collecting.
const gcPercent = 200

func main() {
	if len(os.Args) == 3 && os.Args[1] == child.GuardianCommand {
		child.Guard(os.Stdin, os.Args[2])
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := bridge(ctx, os.Args[1:], os.Stdout, os.Stderr, child.StartGuardian)
	stop()
	os.Exit(code)
}

const (
	exitOK = iota
	exitFailed
	exitUsage
)

// run is the bridge without the process that guards its children's children:
// in a test the program is not the bridge.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return bridge(ctx, args, stdout, stderr, nil)
}

func bridge(ctx context.Context, args []string, stdout, stderr io.Writer, guard func() (*child.Guardian, error)) int {
	switch {
	case len(args) == 2 && args[0] == "health":
		return report(stderr, httpkit.Probe(ctx, args[1]))
	case len(args) >= 2 && args[0] == "policy" && args[1] == "check":
		return policyCheck(args[2:], stdout, stderr)
	}
	f, done, err := parse(args, stdout)
	if err != nil || done {
		return report(stderr, err)
	}
	log, err := httpkit.NewLogger(stderr, "bridge", f.LogLevel)
	if err != nil {
		return report(stderr, fmt.Errorf("%w: --log-level: %w", errUsage, err))
	}
	var marks []string
	if guard != nil {
		guardian, err := guard()
		if err != nil {
			return report(stderr, err)
		}
		defer guardian.Close()
		marks = []string{guardian.Mark}
	}
	g, err := newGate(ctx, &f, log, marks...)
	if err != nil {
		return report(stderr, err)
	}
	return report(stderr, g.serve(ctx))
}

// policyCheck exits with 1 where the call would be refused.
func policyCheck(args []string, stdout, stderr io.Writer) int {
	var c guard.Check
	parser, err := kong.New(&c, kong.Name("bridge policy check"), kong.Writers(stdout, stderr), kong.Exit(func(int) {}))
	if err != nil {
		return report(stderr, err)
	}
	if _, err := parser.Parse(args); err != nil {
		return report(stderr, fmt.Errorf("%w: %w", errUsage, err))
	}
	allowed, err := c.Run(stdout)
	if err == nil && !allowed {
		return exitFailed
	}
	return report(stderr, err)
}

func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "bridge: %v\n", err)
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}
