package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/connect/cli"
	"gatehouse/bridge/internal/guard"
	"gatehouse/internal/httpkit"
)

var (
	errUsage = errors.New("usage")
	errSaid  = errors.New("the command said itself why it fails")
)

// command is what the program does in place of serving.
type command struct {
	words string // by which it is called
	usage string
	does  string
	run   func(ctx context.Context, args []string, s streams) error
}

func commands() []command {
	return []command{
		{
			"connect",
			"connect URL",
			"is a stdio server for a program on this machine, and a client of URL",
			other(cli.Connect),
		},
		{"logout", "logout URL", "revokes and forgets what connect signed in with", other(cli.Logout)},
		{"health", "health URL", "asks a health page", probe},
		{"policy check", "policy check FILE", "tells whether a policy is good, and explains a decision", checkPolicy},
	}
}

// usageError is errUsage for who asks, in the words of another package.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }

// other is a command of the other end.
func other(run func(context.Context, []string, cli.Streams) error) func(context.Context, []string, streams) error {
	return func(ctx context.Context, args []string, s streams) error {
		err := run(ctx, args, cli.Streams{Out: s.out, Err: s.err})
		if errors.Is(err, cli.ErrUsage) {
			return usageError{err}
		}
		return err
	}
}

// find returns the command that args begin with, and what follows. The first
// word of one that is not whole is an error: it names no server.
func find(args []string) (*command, []string) {
	for _, c := range commands() {
		words := strings.Fields(c.words)
		for n := len(words); n > 0; n-- {
			if len(args) < n || strings.Join(args[:n], " ") != strings.Join(words[:n], " ") {
				continue
			}
			if n < len(words) {
				c.run = c.incomplete
			}
			return &c, args[n:]
		}
	}
	return nil, nil
}

func (c *command) incomplete(context.Context, []string, streams) error {
	return fmt.Errorf("%w: bridge %s %s; a server of that name is started by: bridge -- %s",
		errUsage, c.usage, c.does, strings.Fields(c.words)[0])
}

func commandHelp() string {
	help := "Serves a stdio MCP server over SSE and Streamable HTTP: bridge [flags] -- COMMAND ARG..."
	for _, c := range commands() {
		help += "\nbridge " + c.usage + " " + c.does + "."
	}
	return help
}

func probe(ctx context.Context, args []string, _ streams) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: bridge health URL asks one health page, here are %d", errUsage, len(args))
	}
	return httpkit.Probe(ctx, args[0])
}

// checkPolicy fails where the call would be refused.
func checkPolicy(_ context.Context, args []string, s streams) error {
	var c guard.Check
	parser, err := kong.New(&c, kong.Name("bridge policy check"), kong.Writers(s.out, s.err), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	if _, err := parser.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	allowed, err := c.Run(s.out)
	if err == nil && !allowed {
		return errSaid
	}
	return err
}

const lastLines = time.Second // for the last lines of the log

// serve is what the program does without a command.
func serve(ctx context.Context, args []string, s streams, guard func() (*child.Guardian, error)) error {
	f, done, err := parse(args, s.out)
	if err != nil || done {
		return err
	}
	lines := httpkit.NewLogWriter(s.err) // whoever reads a child must not wait for a reader of the log
	defer lines.Flush(lastLines)
	log, err := httpkit.NewLogger(lines, "bridge", f.LogLevel)
	if err != nil {
		return fmt.Errorf("%w: --log-level: %w", errUsage, err)
	}
	var marks []string
	guardian := &child.Guardian{}
	if guard != nil {
		if guardian, err = guard(); err != nil {
			return err
		}
		defer guardian.Close()
		if guardian.Mark != "" {
			marks = []string{guardian.Mark}
		}
	}
	g, err := newGate(ctx, &f, log, marks...)
	if err != nil {
		return err
	}
	guardian.Remove(g.boxes.Dir())
	return g.serve(ctx, s.out)
}
