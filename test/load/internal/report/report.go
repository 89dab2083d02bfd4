// Package report writes the figures into a Markdown page, each section between
// two markers, so that one part can be measured again without the others. It
// promises to leave the rest of the page alone, and to say with every table
// when, on what and by which command it was made.
package report

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/measure"
)

// Table lays cells out: a row for each target, a column for each N. Rates are
// also given as a ratio to the row named base (in baseMode, or the same mode).
type Table struct {
	Title    string
	Mode     caller.Mode
	Base     string
	BaseMode caller.Mode
	Cells    []*measure.Cell
}

// Markdown renders the table, or nothing where no cell belongs to it.
func (t Table) Markdown() string {
	rows, columns := t.axes()
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| target |", t.Title)
	for _, n := range columns {
		fmt.Fprintf(&b, " calls/s at %d (ratio) |", n)
	}
	b.WriteString(" CPU s per 10k calls | ms to open, each | wrong | foreign | lost | refused |\n|---|")
	b.WriteString(strings.Repeat("---:|", len(columns)+6) + "\n")
	for _, row := range rows {
		t.row(&b, row, columns)
	}
	return b.String()
}

func (t Table) row(b *strings.Builder, row string, columns []int) {
	fmt.Fprintf(b, "| %s |", row)
	var counts [5]int
	var last measure.Figure
	for _, n := range columns {
		c := t.cell(row, t.Mode, n)
		if c == nil {
			b.WriteString(" - |")
			continue
		}
		f := c.Figure()
		last = f
		for v, count := range f.Counts {
			counts[v] += count
		}
		fmt.Fprintf(b, " %.0f%s |", f.Rate, t.ratio(c))
	}
	share := func(v caller.Verdict) string { return share(counts, v) }
	fmt.Fprintf(b, " %.2f | %.1f | %s | %s | %s | %s |\n", last.CPU10k.Seconds(), last.OpenMS,
		share(caller.Wrong), share(caller.Foreign), share(caller.Lost), share(caller.Refused))
}

// share is a count, and what part of all answers it is where it is not none.
func share(counts [5]int, v caller.Verdict) string {
	all := 0
	for _, c := range counts {
		all += c
	}
	if counts[v] == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%.0f %%)", counts[v], 100*float64(counts[v])/float64(all))
}

func (t Table) ratio(c *measure.Cell) string {
	base := t.cell(t.Base, cmp.Or(t.BaseMode, t.Mode), c.N)
	if base == nil || base.Figure().Rate == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.2f)", c.Ratio(base))
}

func (t Table) cell(row string, mode caller.Mode, n int) *measure.Cell {
	for _, c := range t.Cells {
		if c.Target == row && c.Mode == mode && c.N == n {
			return c
		}
	}
	return nil
}

func (t Table) axes() (rows []string, columns []int) {
	seen := map[any]bool{}
	for _, c := range t.Cells {
		if c.Mode != t.Mode {
			continue
		}
		if !seen[c.Target] {
			seen[c.Target] = true
			rows = append(rows, c.Target)
		}
		if !seen[c.N] {
			seen[c.N] = true
			columns = append(columns, c.N)
		}
	}
	return rows, columns
}

// Faults lists the first fault of each cell that had one.
func Faults(cells []*measure.Cell) string {
	var b strings.Builder
	for _, c := range cells {
		if f := c.Figure(); f.Err != nil {
			fmt.Fprintf(&b, "- %s, %s at %d: `%.160s`\n", c.Target, c.Mode, c.N, strings.ReplaceAll(f.Err.Error(), "\n", " "))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "First fault of each cell that had one:\n\n" + b.String()
}

// Made says when, on what machine and by which command a section was made.
func Made(command string) string {
	return fmt.Sprintf("Made %s by `%s` on %s.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), command, machine())
}

func machine() string {
	model := "unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo") // not there: the word above stays
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := exec.Command("uname", "-sr").Output()
	return fmt.Sprintf(
		"%d cores of %s, %s, %s; the load program shares the cores",
		runtime.NumCPU(),
		model,
		strings.TrimSpace(string(kernel)),
		runtime.Version(),
	)
}

// Write puts text between the markers of a section, or at the end of a page
// that does not have it yet.
func Write(path, section, text string) error {
	page, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	from, to := []byte("<!-- "+section+" -->\n"), []byte("<!-- end of "+section+" -->\n")
	block := fmt.Appendf(nil, "%s%s%s", from, text, to)
	start, end := bytes.Index(page, from), bytes.Index(page, to)
	if start < 0 || end < start {
		return os.WriteFile(path, append(page, append([]byte("\n"), block...)...), 0o644)
	}
	return os.WriteFile(path, bytes.Join([][]byte{page[:start], block, page[end+len(to):]}, nil), 0o644)
}
