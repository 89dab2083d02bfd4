package memory_test

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"gatehouse/test/soak/internal/memory"
)

// life makes a series of an hour whose weight is base at first and grows.
func life(base, grows, noise float64) memory.Series {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	s := memory.Series{Name: "x"}
	for i := range 61 {
		mb := base + grows*float64(i)/60 + noise*(rng.Float64()-0.5)
		s.Samples = append(s.Samples, memory.Sample{At: time.Duration(i) * time.Minute, MB: mb})
	}
	return s
}

func TestOnlyWhatGrowsIsAccused(t *testing.T) {
	short := life(30, 60, 0)
	short.Samples = short.Samples[:10]
	for name, tc := range map[string]struct {
		series memory.Series
		grows  bool
	}{
		"flat":                 {life(40, 0, 0), false},
		"flat, with noise":     {life(40, 0, 30), false},
		"grows":                {life(40, 20, 0), true},
		"grows, with noise":    {life(40, 20, 10), true},
		"a little":             {life(40, 3, 1), false},
		"a little of much":     {life(400, 20, 1), false},
		"too short to tell":    {short, false},
		"a jump at the start":  {first(life(60, 0, 1), 10), false},
		"grows and falls back": {sawtooth(), false},
		"fills for 15 minutes": {filling(), false},
	} {
		line, grows := tc.series.Verdict()
		if grows != tc.grows {
			t.Errorf("%s: %v, %s", name, grows, line)
		}
	}
}

// first lets the first samples of a life be light.
func first(s memory.Series, mb float64) memory.Series {
	for i := range 3 {
		s.Samples[i].MB = mb
	}
	return s
}

// filling grows by 70 MB at first, and then no more.
func filling() memory.Series {
	s := life(100, 0, 1)
	for i := range 15 {
		s.Samples[i].MB -= 70 * float64(15-i) / 15
	}
	return s
}

func sawtooth() memory.Series {
	s := life(40, 0, 0)
	for i := range s.Samples {
		s.Samples[i].MB += float64(i%10) * 3
	}
	return s
}

func TestFit(t *testing.T) {
	slope, err := memory.Fit(life(10, 30, 0).Samples)
	if math.Abs(slope-30) > 1e-6 || err > 1e-6 {
		t.Errorf("%g MB an hour, error %g, want 30 and 0", slope, err)
	}
}

func TestBelow(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for _, p := range memory.Below(os.Getpid()) {
		if p.PID == cmd.Process.Pid && p.Parent == os.Getpid() {
			if memory.Resident(p.PID) <= 0 {
				t.Error("it weighs nothing")
			}
			return
		}
	}
	t.Error("the child is not found")
}
