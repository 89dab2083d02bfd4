// Run starts the whole gate natively in front of the demo or of a server of
// one's own, makes one call through it, says what to do next, and stops
// everything on Ctrl-C. `make run` calls it; `run user NAME` adds a colleague
// to a gate that runs, `run seed` makes Keycloak ready for a start.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gatehouse/test/stack"
)

func main() {
	// A closed terminal is an end as Ctrl-C is; what is written to it then is
	// lost and no reason to leave anything running.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	work := serve
	if len(args) > 0 && args[0] == "user" {
		return addUser(ctx, args[1:], out)
	}
	if len(args) > 0 && args[0] == "seed" {
		work, args = seed, args[1:]
	}
	o, err := options(args)
	if err != nil {
		return err
	}
	unlock, err := hold(o.dir)
	if err != nil {
		return err
	}
	defer unlock()
	err = work(ctx, o, out)
	if ctx.Err() != nil {
		_, _ = fmt.Fprintln(out, "\nstopped")
		return nil //nolint:nilerr // whoever ends it gets what he asked for
	}
	return err
}

// seed lets Keycloak build itself and import the realm, once. make calls it while
// the other programs are built.
func seed(ctx context.Context, o opts, out io.Writer) error {
	progress := &progress{out: out, moves: terminal(out)}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return stack.Seed(ctx, stack.Options{
		Dir: o.dir, Keycloak: o.keycloak, Up: progress.up, Waiting: progress.waiting,
	})
}

func serve(ctx context.Context, o opts, out io.Writer) error {
	progress := &progress{out: out, moves: terminal(out)}
	begin := time.Now()
	startCtx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	gate, err := stack.Start(startCtx, stack.Options{
		Dir: o.dir, Bin: o.bin, Keycloak: o.keycloak, Ports: o.ports, Server: o.server,
		Up: progress.up, Waiting: progress.waiting,
	})
	if err != nil {
		return err
	}
	defer gate.Close()
	if err := remember(o.dir, gate); err != nil {
		return err
	}
	if err := firstCall(startCtx, gate, out); err != nil {
		return fmt.Errorf("the first call: %w; logs are in %s", err, o.dir)
	}
	_, _ = fmt.Fprintf(out, "ready in %.1f s\n", time.Since(begin).Seconds())
	if o.once {
		return nil
	}
	tell(out, gate, o)
	return watch(ctx, gate)
}

// watch waits for the end, or for a part that ends by itself.
func watch(ctx context.Context, gate *stack.Stack) error {
	ended := make(chan *stack.Part, len(gate.Parts()))
	for _, part := range gate.Parts() {
		go func(done <-chan struct{}) {
			select {
			case <-done:
				ended <- part
			case <-ctx.Done():
			}
		}(part.Done())
	}
	select {
	case part := <-ended:
		if ctx.Err() != nil {
			return nil //nolint:nilerr // they were told to
		}
		return fmt.Errorf(
			"%s has ended, and the rest is stopped; its last line: %s (all of it: %s)",
			part.Name,
			part.LastLine(),
			part.Log(),
		)
	case <-ctx.Done():
		return nil
	}
}

var errUsage = errors.New("usage")
