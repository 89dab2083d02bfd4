// Connect is the bridge without its server: `[connect] URL` and `logout URL` in
// a smaller file, of which a desktop starts one for each client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"gatehouse/bridge/internal/connect/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	_, _ = fmt.Fprintf(os.Stderr, "bridge: %v\n", err)
	if errors.Is(err, cli.ErrUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

// run takes `connect URL` as the bridge does, and URL alone.
func run(ctx context.Context, args []string) error {
	s := cli.Streams{Out: os.Stdout, Err: os.Stderr}
	switch {
	case len(args) == 0:
		return fmt.Errorf("%w: name the server's address, or `logout` and it; this file does not serve", cli.ErrUsage)
	case args[0] == "logout":
		return cli.Logout(ctx, args[1:], s)
	case args[0] == "connect":
		args = args[1:]
	}
	return cli.Connect(ctx, args, s)
}
