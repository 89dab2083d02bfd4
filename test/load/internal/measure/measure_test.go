package measure

import (
	"fmt"
	"testing"

	"gatehouse/test/load/internal/caller"
)

func rated(rates ...float64) *Cell {
	c := &Cell{}
	for _, r := range rates {
		c.samples = append(c.samples, sample{rate: r})
	}
	return c
}

// TestRatioIsTakenRoundByRound: with the machine at half its speed in other
// rounds for one than the other, the quotient of the medians would be 1.8.
func TestRatioIsTakenRoundByRound(t *testing.T) {
	base, c := rated(100, 50, 50, 0), rated(90, 45, 90, 90)
	if got := c.Ratio(base); got != 0.9 {
		t.Errorf("%v, want 0.9", got)
	}
	if got := c.Ratio(rated(0, 0)); got != 0 {
		t.Errorf("to what answered nothing: %v", got)
	}
}

func TestWhatIsComparedStandsSideBySide(t *testing.T) {
	var cells []*Cell
	for _, target := range []string{"limit", "bridge"} {
		for _, mode := range []caller.Mode{caller.Stateless, caller.MCP} {
			for _, n := range []int{8, 1} {
				cells = append(cells, &Cell{Target: target, Mode: mode, N: n})
			}
		}
	}
	var got []string
	for _, c := range sideBySide(cells) {
		got = append(got, fmt.Sprint(c.Target, " ", c.Mode, " ", c.N))
	}
	want := "[limit /mcp 1 bridge /mcp 1 limit stateless 1 bridge stateless 1 " +
		"limit /mcp 8 bridge /mcp 8 limit stateless 8 bridge stateless 8]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
