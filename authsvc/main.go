// Command authsvc answers nginx's auth_request: it signs people in at an
// OpenID Connect provider, keeps their sessions, verifies access tokens, and
// signs the assertion that the bridge believes. It must never know a message
// of MCP.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/internal/httpkit"
	"gatehouse/internal/version"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// gcPercent trades a little CPU for memory: most of the heap is remembered
// verdicts, and with ten thousand live sessions they must fit in 40 MB. GOGC overrides it.
const gcPercent = 40

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 2 && args[0] == "health" {
		return health(ctx, args[1], stderr)
	}
	if len(args) >= 2 && args[0] == "key" && args[1] == "new" {
		return keyNew(args[2:], stdout, stderr)
	}
	cfg, done, err := parse(args, stdout, stderr)
	if done {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "authsvc: %s (see authsvc --help)\n", oneLine(err))
		return exitUsage
	}
	log, err := httpkit.NewLogger(stderr, "authsvc", cfg.LogLevel)
	if err != nil {
		fmt.Fprintf(stderr, "authsvc: --log-level: %s\n", err)
		return exitUsage
	}
	svc, err := newService(cfg, log)
	if err != nil {
		fmt.Fprintf(stderr, "authsvc: %s\n", oneLine(err))
		return exitUsage
	}
	if err := svc.serve(ctx); err != nil {
		log.Error().Err(err).Msg("authsvc failed")
		return exitFailed
	}
	return exitOK
}

// health asks a health page, so that a container's check needs no curl.
func health(ctx context.Context, url string, stderr io.Writer) int {
	if err := httpkit.Probe(ctx, url); err != nil {
		fmt.Fprintf(stderr, "authsvc: %s\n", err)
		return exitFailed
	}
	return exitOK
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// parse reads flags and environment. done says that --help or --version was answered.
func parse(args []string, stdout, stderr io.Writer) (cfg config, done bool, err error) {
	parser, err := kong.New(&cfg, kong.Name("authsvc"), kong.DefaultEnvars("AUTHSVC"),
		kong.Description("Answers nginx's auth_request for gatehouse.\n"+
			"authsvc health URL asks a health page; authsvc key new makes a machine's key."),
		kong.Vars{"version": version.Of("authsvc")}, kong.Writers(stdout, stderr), kong.Exit(func(int) { panic(errHelp) }))
	if err != nil {
		return cfg, false, err
	}
	defer func() {
		if p := recover(); p != nil {
			if p != any(errHelp) {
				panic(p)
			}
			done = true
		}
	}()
	if _, err := parser.Parse(args); err != nil {
		return cfg, false, err
	}
	return cfg, false, errors.Join(checkLists(parser.Model.Flags), cfg.complete())
}

// errHelp unwinds kong, which exits by itself after --help and --version.
var errHelp = errors.New("help")
