package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"gatehouse/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var n nginx
	fs := flag.NewFlagSet("gatehouse-check", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&n.conf, "conf", "/etc/nginx/nginx.conf", "nginx's main file")
	fs.StringVar(&n.program, "nginx", "nginx", "the nginx that will read it")
	fs.StringVar(&n.prefix, "prefix", "", "nginx's -p, \"\" is its own")
	printVersion := fs.Bool("version", false, "print the version and end")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *printVersion {
		_, _ = fmt.Fprintln(stdout, version.Of("gatehouse-check"))
		return 0
	}
	if fs.NArg() > 0 {
		_, _ = fmt.Fprintf(
			stderr,
			"gatehouse-check: %q: want flags only, as in gatehouse-check -conf /etc/nginx/nginx.conf\n",
			fs.Arg(0),
		)
		return 2
	}
	faults, err := n.check(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "gatehouse-check:", err)
		return 2
	}
	for _, f := range faults {
		_, _ = fmt.Fprintln(stdout, f)
	}
	if len(faults) > 0 {
		_, _ = fmt.Fprintf(stdout, "%d to mend\n", len(faults))
		return 1
	}
	_, _ = fmt.Fprintln(stdout, "all is well")
	return 0
}

// fault is one thing to mend.
type fault struct {
	file       string
	line       int
	what, mend string
}

func (f fault) String() string {
	text := f.what
	if f.file != "" {
		text = fmt.Sprintf("%s:%d: %s", f.file, f.line, f.what)
	}
	if f.mend != "" {
		text += "\n    mend: " + f.mend
	}
	return text
}

// check asks nginx first: what it cannot read nobody else can.
func (n nginx) check(ctx context.Context) ([]fault, error) {
	if old, err := n.tooOld(ctx); err != nil || old != nil {
		return old, err
	}
	faults, fatal, err := n.test(ctx)
	if err != nil || fatal {
		return faults, err
	}
	root, err := parse(n.conf)
	if err != nil {
		return nil, err
	}
	wrong, err := n.values(ctx, root)
	if err != nil {
		return nil, err
	}
	faults = append(append(faults, wrong...), rules(root)...)
	slices.SortStableFunc(faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	return slices.Compact(faults), nil
}
