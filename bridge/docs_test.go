package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/guard"
	"gatehouse/test/reference"
)

// sections are how the reference orders the flags: each begins at one.
var sections = []reference.Section{
	{Title: "Where it listens", First: "listen"},
	{Title: "Paths, headers and pages that may call", First: "sse-path"},
	{Title: "Who calls", First: "identity"},
	{Title: "authsvc", First: "authsvc-token-file"},
	{Title: "What a caller may do, and what is written down", First: "policy"},
	{Title: "The servers", First: "isolation"},
	{Title: "The box of a child", First: "sandbox"},
	{Title: "Bounds", First: "max-sessions"},
}

// TestReference: docs/reference/bridge.md is what the program says of itself.
func TestReference(t *testing.T) {
	var f flags
	var done bool
	parser, err := newParser(&f, io.Discard, &done)
	if err != nil {
		t.Fatal(err)
	}
	program := reference.Program{Flags: parser.Model.Flags, Sections: sections, Says: func(args ...string) string {
		_, _, err := parse(append(args, "--", os.Args[0]), io.Discard)
		return said(err)
	}}
	reference.Hold(t, "bridge.md", "flags", program.Tables(t))

	commandRows := reference.Table("command", "what it does")
	commandRows += reference.Row("`bridge [flags] -- COMMAND ARG...`", "serves one server")
	commandRows += reference.Row("`bridge [flags] --config FILE`", "serves those of a file")
	for _, c := range commands() {
		commandRows += reference.Row(reference.Code("bridge "+c.usage), c.does)
	}
	reference.Hold(t, "bridge.md", "commands", commandRows)

	var check guard.Check
	ask, err := kong.New(&check)
	if err != nil {
		t.Fatal(err)
	}
	reference.Hold(t, "bridge.md", "policy check", reference.Program{Flags: ask.Model.Flags}.Tables(t))
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestMetricsReference: docs/reference/metrics.md has what the program registers
// where everything that counts is on.
func TestMetricsReference(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // spans are counted too
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	f, _, err := parse([]string{"--admin-listen", "127.0.0.1:0", "--audit", audit, "--", os.Args[0]}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	g, err := newGate(ctx, &f, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	reference.Hold(t, "metrics.md", "bridge", reference.MetricTable(t, g.reg))
	g.workers.end()
	g.starter.Close()
	g.watch.close()
	g.boxes.Close()
	if err := g.close(); err != nil {
		t.Error(err)
	}
}

// TestBoundsAreExplained: docs/bridge.md says of each bound what happens at it.
func TestBoundsAreExplained(t *testing.T) {
	text, err := os.ReadFile("../docs/bridge.md")
	if err != nil {
		t.Fatal(err)
	}
	var f flags
	var done bool
	parser, err := newParser(&f, io.Discard, &done)
	if err != nil {
		t.Fatal(err)
	}
	bound := false
	for _, flag := range parser.Model.Flags {
		if bound = bound || flag.Name == "max-sessions"; bound && !strings.Contains(string(text), "| `--"+flag.Name+"`") {
			t.Errorf("docs/bridge.md does not say under Bounds what happens at --%s", flag.Name)
		}
	}
}
