// Package reference makes the pages of docs/reference from the programs, and
// holds them equal: a part of a page stands between two marks, and a test of the
// program that it describes says what belongs there.
//
// It promises that a page which differs fails with the command that mends it,
// `make reference`. It must never know a program: each one's own test tells what
// it is like.
package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeVariable says that the pages are to be made, not held.
const writeVariable = "REFERENCE"

// Hold compares a part of docs/reference/PAGE with what the program says of
// itself; under `make reference` it writes the part.
func Hold(t *testing.T, page, part, says string) {
	t.Helper()
	file := filepath.Join(root(t), "docs", "reference", page)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, have, after, err := cut(string(raw), part)
	if err != nil {
		t.Fatalf("docs/reference/%s: %v", page, err)
	}
	want := "\n" + strings.TrimSpace(says) + "\n"
	if have == want {
		return
	}
	if os.Getenv(writeVariable) == "write" {
		if err := os.WriteFile(file, []byte(before+want+after), 0o644); err != nil { //nolint:gosec // a page to read
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/reference/%s is not what the program says in its part %q: run `make reference` and commit "+
		"what it changes. First difference:\n%s", page, part, difference(have, want))
}

// cut finds the part between its marks.
func cut(text, part string) (before, inside, after string, err error) {
	begin := "<!-- made by make reference: " + part + " -->"
	const end = "<!-- made until here -->"
	before, rest, found := strings.Cut(text, begin)
	if !found {
		return "", "", "", fmt.Errorf("the mark %s is missing", begin)
	}
	inside, after, found = strings.Cut(rest, end)
	if !found {
		return "", "", "", fmt.Errorf("the mark %s is missing behind %s", end, begin)
	}
	return before + begin, inside, end + after, nil
}

func difference(have, want string) string {
	page, program := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i, line := range program {
		if i >= len(page) {
			return "the page ends before: " + line
		}
		if page[i] != line {
			return "the page:    " + page[i] + "\nthe program: " + line
		}
	}
	return "the page goes on with: " + page[len(program)]
}

// root is the folder of the module, above the test's own.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// Row is a line of a table. A bar would end its cell, a newline the line.
func Row(cells ...string) string {
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(strings.NewReplacer("|", `\|`, "\n", " ").Replace(cell))
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// Table is a table's head.
func Table(titles ...string) string {
	return Row(titles...) + "|" + strings.Repeat("---|", len(titles)) + "\n"
}

// Code is text as it is typed, or "" where there is none.
func Code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
