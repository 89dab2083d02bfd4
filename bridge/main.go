// Bridge turns a stdio MCP server into SSE and Streamable HTTP. It only wires:
// each concern has a package of its own under internal.
//
// main.go runs a command of commands.go, which is mostly to serve: flags.go are
// its flags, check.go what is wrong with them, settings.go what they mean for
// each server, gate.go what it is made of, routes.go who answers where.
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

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/sandbox"
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
	// Whoever starts the bridge may have files open that are not for its children.
	if err := sandbox.Seal(); err != nil {
		os.Exit(streams{err: os.Stderr}.exit(err))
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
	s := streams{out: stdout, err: stderr}
	if c, rest := find(args); c != nil {
		return s.exit(c.run(ctx, rest, s))
	}
	return s.exit(serve(ctx, args, s, guard))
}

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// exit says what went wrong, and is the exit code.
func (s streams) exit(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSaid):
		return exitFailed
	}
	_, _ = fmt.Fprintf(s.err, "bridge: %v\n", err)
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}
