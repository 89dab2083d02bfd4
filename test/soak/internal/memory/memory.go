// Package memory tells whether a program grows. It promises to accuse only
// where a straight line through what it weighed at rest rises by more than its
// own error. It must never know what the program does.
package memory

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sample is the weight of a program at rest.
type Sample struct {
	At time.Duration // since the run began
	MB float64
}

// Series is the life of one process, or of one program whose processes are
// replaced by a reload.
type Series struct {
	Name    string
	PID     int
	Samples []Sample
}

const (
	fewest   = 12               // samples that say anything
	shortest = 10 * time.Minute // between the first of them and the last
	freely   = 6.0              // MB that any program may grow by
	freePart = 0.1              // or this part of its weight, where that is more

	// warming is the start of a life, which says nothing: what is kept for minutes
	// fills, and a heap that may treble between two collections takes as many of
	// them to reach its height.
	warming = 15 * time.Minute
)

// Fit is the straight line through the samples: MB an hour, and its standard error.
func Fit(samples []Sample) (slope, err float64) {
	n := float64(len(samples))
	var mx, my float64
	for _, s := range samples {
		mx, my = mx+s.At.Hours()/n, my+s.MB/n
	}
	var sxx, sxy float64
	for _, s := range samples {
		sxx += (s.At.Hours() - mx) * (s.At.Hours() - mx)
		sxy += (s.At.Hours() - mx) * (s.MB - my)
	}
	slope = sxy / sxx
	var rest float64
	for _, s := range samples {
		d := s.MB - my - slope*(s.At.Hours()-mx)
		rest += d * d
	}
	return slope, math.Sqrt(rest / (n - 2) / sxx)
}

// Verdict is what a life shows: a line for people, and whether it grows. Lives
// too short to tell are not judged.
func (s Series) Verdict() (line string, grows bool) {
	if len(s.Samples) == 0 {
		return "", false
	}
	first, last := s.Samples[0], s.Samples[len(s.Samples)-1]
	line = fmt.Sprintf("%-16s %6d  %6.1f MB at %s, %6.1f MB at %s", s.Name, s.PID,
		first.MB, first.At.Round(time.Second), last.MB, last.At.Round(time.Second))
	warm := slices.IndexFunc(s.Samples, func(one Sample) bool { return one.At >= first.At+warming })
	if warm < 0 || len(s.Samples)-warm < fewest || last.At-s.Samples[warm].At < shortest {
		return line + ", too short to fit", false
	}
	settled := s.Samples[warm:]
	slope, err := Fit(settled)
	life := (last.At - settled[0].At).Hours()
	grown, sure := slope*life, (slope-2*err)*life
	line += fmt.Sprintf(", fit %+.1f MB over %.0f min (at least %+.1f)", grown, life*60, sure)
	return line, sure > max(freely, freePart*settled[0].MB)
}

// Long reports whether a life is long enough to be judged.
func (s Series) Long() bool {
	n := len(s.Samples)
	return n > fewest && s.Samples[n-1].At-s.Samples[0].At > warming+shortest
}

// Resident is what the processes hold together, in MB. One that has ended holds
// nothing.
func Resident(pids ...int) (mb float64) {
	for _, pid := range pids {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(raw)); len(fields) > 1 {
			pages, _ := strconv.Atoi(fields[1]) // proc(5): resident, a number
			mb += float64(pages*os.Getpagesize()) / (1 << 20)
		}
	}
	return mb
}

// Process is a process with its parent and its program.
type Process struct {
	PID, Parent int
	Exe         string
	Title       string
}

// Below are the processes that descend from pid.
func Below(pid int) (below []Process) {
	all := map[int]Process{}
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, d := range dirs {
		if n, err := strconv.Atoi(d.Name()); err == nil {
			if p, ok := look(n); ok {
				all[n] = p
			}
		}
	}
	for n, p := range all {
		for up, ok := p, true; ok; up, ok = all[up.Parent] {
			if up.Parent == pid {
				below = append(below, all[n])
				break
			}
		}
	}
	return below
}

func look(pid int) (Process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	raw, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Process{}, false
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(fields) < 2 {
		return Process{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return Process{}, false
	}
	exe, _ := os.Readlink(dir + "/exe")       // "" of one that ends
	title, _ := os.ReadFile(dir + "/cmdline") // as above
	return Process{PID: pid, Parent: parent, Exe: exe, Title: strings.ReplaceAll(string(title), "\x00", " ")}, true
}
