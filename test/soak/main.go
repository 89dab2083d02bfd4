// Command soak runs the whole gate with callers of every era while it breaks one
// part after another, by a seed: nginx, Redis and Keycloak as they are, two
// authsvc and two bridges, the demo server, the limits that ship. It holds what
// each caller sees to what the documents promise:
//
//   - no answer is wrong or another's, and progress comes once and in order,
//     also to a caller that lost its stream and came back for the rest;
//   - every call is answered; what fails says why; nothing fails in fair weather,
//     and nothing cuts a call off but the end of the program that holds it;
//   - every caller is well again within a bound after a fault;
//   - a logout ends the user's streams within 5 s;
//   - no program grows.
//
// What it has seen is kept in a file, and a run that was stopped goes on from
// there. It must never know what the programs do inside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	length   time.Duration
	sessions int
	each     int // sessions of one user
	seed     uint64
	short    bool
	clock    bool
	bin      string
	keycloak string
	state    string
	keep     string // folder of the stack, "" for one that is taken away
}

var errBroken = errors.New("promises were broken")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.DurationVar(&o.length, "for", 2*time.Hour, "how long faults are made, over all starts")
	fs.IntVar(&o.sessions, "sessions", 200, "callers")
	fs.IntVar(&o.each, "each", 10, "callers of one user")
	fs.Uint64Var(&o.seed, "seed", 0, "order of faults and questions; 0 takes one by chance and prints it")
	fs.BoolVar(&o.short, "short", false, "short faults, and none that takes long to come back")
	fs.BoolVar(&o.clock, "clock", false, "let Keycloak's clock jump too, by libfaketime (Debian: faketime); it then starts slowly")
	fs.StringVar(&o.bin, "bin", "bin", "folder of bridge, authsvc and demo")
	fs.StringVar(&o.keycloak, "keycloak", os.Getenv("GATEHOUSE_KEYCLOAK"), "the unpacked distribution")
	fs.StringVar(&o.state, "state", "", "file in which the run is kept; by default .cache/soak/SEED.json")
	fs.StringVar(&o.keep, "keep", "", "folder in which the gate runs and leaves its logs")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.sessions < 2 || o.each < 1 || o.sessions > 16000:
		return o, fmt.Errorf("-sessions %d of %d for each user: want 2 to 16000, and 1 or more", o.sessions, o.each)
	case o.length <= 0:
		return o, fmt.Errorf("-for %s: want more than 0", o.length)
	case o.keycloak == "":
		return o, errors.New("-keycloak is missing: `make soak` gives it")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1 //nolint:gosec // it is printed
	}
	if o.state == "" {
		o.state = filepath.Join(".cache", "soak", fmt.Sprintf("%d.json", o.seed))
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return o, err
	}
	return o, os.MkdirAll(filepath.Dir(o.state), 0o755)
}
