package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// TestThePageIsWhatIsPrinted from the figures that stand in docs/benchmarks.md.
func TestThePageIsWhatIsPrinted(t *testing.T) {
	want, err := table(root)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(root, "docs", "scale.md"))
	if err != nil {
		t.Fatal(err)
	}
	got, ok := page(raw).section(section)
	if !ok || strings.TrimPrefix(string(got), "\n") != want {
		t.Error("docs/scale.md is not what the figures give: make scale-table writes it")
	}
}

// TestTheSimulationIsRight against what can be computed by hand.
func TestTheSimulationIsRight(t *testing.T) {
	l := simulate(100_000, 7)
	cycle := (burst-1)*between.Seconds() + pause.Seconds()
	if want := 100_000 * burst / cycle; l.callsMean < 0.95*want || l.callsMean > 1.05*want {
		t.Errorf("%.0f calls a second, want about %.0f", l.callsMean, want)
	}
	if l.asksMean >= l.callsMean || l.asksMean < l.callsMean/2 {
		t.Errorf("%.0f questions for %.0f calls a second", l.asksMean, l.callsMean)
	}
	// Awake is who called in the last five minutes: 1 - exp(-1/3) of who pauses, all of who works.
	if share := float64(l.awake) / 100_000; share < 0.29 || share > 0.34 {
		t.Errorf("%.2f of all are awake", share)
	}
	if l != simulate(100_000, 7) {
		t.Error("the same seed gives another load")
	}
}

func TestFiguresAreRead(t *testing.T) {
	p := page("### A\n| target | calls/s at 1 (ratio) | CPU s per 10k calls |\n|---|---:|---:|\n| one | 5 (1.00) | 0.25 |\n" +
		"| two | 7 (0.5) | 0.75 |\n\n### B\n\n| target | CPU s per 10k calls |\n|---|---|\n| two | 3 |\n")
	for _, tc := range []struct {
		title, row, column string
		want               float64
	}{{"### A", "two", "CPU s", 0.75}, {"### A", "one", "calls/s at 1", 5}, {"### B", "two", "CPU s", 3}} {
		if got, err := p.cell(tc.title, tc.row, tc.column); err != nil || got != tc.want {
			t.Errorf("%+v: %g, %v", tc, got, err)
		}
	}
	if _, err := p.cell("### A", "three", "CPU s"); err == nil {
		t.Error("a row that is not there gives a figure")
	}
	marks := page("<!-- scale everything -->\n```json\n{\"server\": \"everything\", \"childMB\": 69.5, \"bridgeKBPerSession\": 21}\n" +
		"```\n<!-- end of scale everything -->\n")
	if s, err := marks.sleeper(); err != nil || s == nil || s.ChildMB != 69.5 {
		t.Errorf("part scale: %+v, %v", s, err)
	}
	if s, err := page("nothing").sleeper(); err != nil || s != nil {
		t.Errorf("without part scale: %+v, %v", s, err)
	}
}
