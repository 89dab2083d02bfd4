// Package measure runs closed loops against targets in turn and keeps the
// medians. It promises that the rounds of all cells are interleaved, so that a
// slow minute of the machine falls on every target alike, and that a ratio is
// taken round by round. It must never know how a target was started.
package measure

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/wire"
)

const settleFor = 3 * time.Second // at most

// Cell is one figure of a table: a target spoken to in one way by N callers.
type Cell struct {
	Target string // the row's name
	Mode   caller.Mode
	N      int
	Wire   func(caller int) wire.Target // each caller may be somebody else
	Prefix string                       // in front of the paths
	Procs  []*proc.Proc                 // whose CPU time counts

	samples []sample
	err     error // the first fault seen
}

type sample struct {
	rate, open float64 // calls a second; ms to open a session
	cpu        time.Duration
	counts     [5]int // by verdict
}

// Figure is what the rounds of a cell came to.
type Figure struct {
	Rate   float64       // median of calls answered rightly a second
	OpenMS float64       // median time to open one of N sessions at once
	CPU10k time.Duration // CPU time for 10,000 calls over all rounds
	Counts [5]int        // by verdict, over all rounds
	Err    error
}

// Run measures every cell once a round, those that are compared close together,
// and every second round backwards: what comes after another is a little slower
// or faster for it.
func Run(cells []*Cell, rounds int, window time.Duration, progress func(string)) {
	cells = sideBySide(cells)
	for round := range rounds {
		if round > 0 {
			slices.Reverse(cells)
		}
		for _, c := range cells {
			s, err := c.once(window)
			c.samples = append(c.samples, s)
			if c.err == nil {
				c.err = err
			}
			progress(fmt.Sprintf("round %d/%d %-44s %-9s n=%-3d %8.0f/s", round+1, rounds, c.Target, c.Mode, c.N, s.rate))
		}
	}
}

// sideBySide puts the targets of one way and number next to each other.
func sideBySide(cells []*Cell) []*Cell {
	return slices.SortedStableFunc(slices.Values(cells), func(a, b *Cell) int {
		return cmp.Or(cmp.Compare(a.N, b.N), cmp.Compare(a.Mode, b.Mode))
	})
}

func (c *Cell) once(window time.Duration) (sample, error) {
	callers := make([]caller.Caller, c.N)
	for i := range callers {
		callers[i] = caller.New(c.Mode, c.Wire(i), c.Prefix)
	}
	defer proc.Settle(settleFor) // what is done about callers that left, the next target does not pay for
	defer closeAll(callers)
	start := time.Now()
	if err := each(callers, caller.Caller.Open); err != nil {
		return sample{}, fmt.Errorf("open: %w", err)
	}
	s := sample{open: float64(time.Since(start).Microseconds()) / 1000 / float64(c.N)}
	warm := func(k caller.Caller) error { _, err := k.Call(1); return err }
	warmErr := each(callers, warm)
	before, err := proc.Measure(c.Procs...)
	if err != nil {
		return s, err
	}
	begun := time.Now()
	loopErr := c.loop(callers, begun.Add(window), &s)
	took := time.Since(begun)
	after, err := proc.Measure(c.Procs...)
	s.cpu = after.Sub(before).CPU
	s.rate = float64(s.counts[caller.Good]) / took.Seconds()
	return s, cmp.Or(loopErr, warmErr, err)
}

// loop lets every caller call until the end, and adds up the verdicts.
func (c *Cell) loop(callers []caller.Caller, end time.Time, s *sample) error {
	var mu sync.Mutex
	return each(callers, func(k caller.Caller) error {
		var counts [5]int
		var first error
		for seq := 2; time.Now().Before(end); seq++ {
			v, err := k.Call(seq)
			counts[v]++
			first = cmp.Or(first, err)
			if v == caller.Lost || v == caller.Refused {
				time.Sleep(10 * time.Millisecond) // a fast refusal is no reason to spin
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for v, n := range counts {
			s.counts[v] += n
		}
		return first
	})
}

func each(callers []caller.Caller, do func(caller.Caller) error) error {
	errs := make([]error, len(callers))
	var wg sync.WaitGroup
	for i, k := range callers {
		wg.Go(func() { errs[i] = do(k) })
	}
	wg.Wait()
	return cmp.Or(errs...)
}

func closeAll(callers []caller.Caller) {
	_ = each(callers, func(k caller.Caller) error { k.Close(); return nil })
}

// Figure is the cell's result so far.
func (c *Cell) Figure() Figure {
	f := Figure{Err: c.err}
	var rates, opens []float64
	var cpu time.Duration
	for _, s := range c.samples {
		rates, opens = append(rates, s.rate), append(opens, s.open)
		cpu += s.cpu
		for v, n := range s.counts {
			f.Counts[v] += n
		}
	}
	f.Rate, f.OpenMS = Median(rates), Median(opens)
	if good := f.Counts[caller.Good]; good > 0 {
		f.CPU10k = cpu * 10000 / time.Duration(good)
	}
	return f
}

// Ratio is the median of the rounds' ratios to a cell that was measured beside
// this one: a mood of the machine that lasts for a round falls on both.
func (c *Cell) Ratio(base *Cell) float64 {
	var ratios []float64
	for i := range min(len(c.samples), len(base.samples)) {
		if under := base.samples[i].rate; under > 0 {
			ratios = append(ratios, c.samples[i].rate/under)
		}
	}
	return Median(ratios)
}

// Median of the values, 0 of none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
