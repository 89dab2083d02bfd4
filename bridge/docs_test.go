package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestEveryFlagIsInTheDocs: docs/bridge.md has a row for each flag, with its
// default, and none for one that is gone.
func TestEveryFlagIsInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/bridge.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{} // flag → cells
	ours := false                 // a table of flags, not one of other programs
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		ours = strings.HasPrefix(line, "| flag | default |") || ours && len(cells) > 1
		if ours && len(cells) == 5 && strings.HasPrefix(cells[1], " `--") {
			name, _, _ := strings.Cut(strings.Trim(cells[1], " `"), "`")
			name, _, _ = strings.Cut(name, " ")
			rows[strings.TrimPrefix(name, "--")] = cells
		}
	}
	var f flags
	var done bool
	parser, err := newParser(&f, io.Discard, &done)
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range parser.Model.Flags {
		if flag.Name == "help" {
			continue
		}
		row := rows[flag.Name]
		if row == nil {
			t.Errorf("docs/bridge.md has no row for --%s", flag.Name)
			continue
		}
		delete(rows, flag.Name)
		if got := strings.Trim(row[2], " `"); got != flag.Default {
			t.Errorf("docs/bridge.md says that the default of --%s is %q; it is %q", flag.Name, got, flag.Default)
		}
	}
	for name := range rows {
		t.Errorf("docs/bridge.md has a row for --%s, which is no flag", name)
	}
}
