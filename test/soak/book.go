package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/test/soak/internal/memory"
	"gatehouse/test/soak/internal/plan"
)

// book is what a run has seen. It is kept in a file, so that a run which was
// stopped goes on.
type book struct {
	mu   sync.Mutex
	path string

	Seed     uint64
	Sessions int
	For      time.Duration
	Short    bool
	Step     int           // the next
	Spent    time.Duration // of For
	Started  int           // how often
	Outcomes map[string]map[string]int
	Faults   map[plan.Kind]*tally
	Logouts  tally // from a logout to the end of the last stream
	Lives    []memory.Series
	Accounts map[string]string // of each bridge, the last
	Broken   int               // promises
	Breaches []string
}

// tally of times in seconds.
type tally struct {
	N            int
	Sum, Longest float64
}

func (t *tally) add(d time.Duration) {
	t.N++
	t.Sum += d.Seconds()
	t.Longest = max(t.Longest, d.Seconds())
}

const mostBreaches = 200 // in words; the others are counted

// openBook reads the book of a run that was stopped, or begins one.
func openBook(o options) (*book, error) {
	fresh := &book{
		path: o.state, Seed: o.seed, Sessions: o.sessions, For: o.length, Short: o.short,
		Outcomes: map[string]map[string]int{}, Faults: map[plan.Kind]*tally{},
	}
	raw, err := os.ReadFile(o.state)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, err
	}
	b := &book{path: o.state}
	if err := json.Unmarshal(raw, b); err != nil {
		return nil, fmt.Errorf("%s: %w; take it away to begin anew", o.state, err)
	}
	if b.Seed != o.seed || b.Sessions != o.sessions || b.For != o.length || b.Short != o.short {
		return nil, fmt.Errorf("%s is of a run with -seed %d -sessions %d -for %s -short=%v: "+
			"give the same, or take the file away to begin anew", o.state, b.Seed, b.Sessions, b.For, b.Short)
	}
	return b, nil
}

// save writes the book, at the time of the run that has been spent.
func (b *book) save(spent time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Spent = spent
	raw, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.path+".next", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(b.path+".next", b.path)
}

// enter counts an outcome.
func (b *book) enter(era, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Outcomes[era] == nil {
		b.Outcomes[era] = map[string]int{}
	}
	b.Outcomes[era][outcome]++
}

// breach writes down a promise that was not kept.
func (b *book) breach(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Broken++
	if len(b.Breaches) < mostBreaches {
		b.Breaches = append(b.Breaches, text)
		_, _ = fmt.Fprintln(os.Stderr, "BROKEN:", text)
	}
}

// recovered enters how long it took until all were well after a fault.
func (b *book) recovered(kind plan.Kind, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Faults[kind] == nil {
		b.Faults[kind] = &tally{}
	}
	b.Faults[kind].add(took)
}

func (b *book) loggedOut(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Logouts.add(took)
}

// weigh adds a sample to the life of a program.
func (b *book) weigh(name string, pid int, at time.Duration, mb float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.Lives, func(s memory.Series) bool { return s.Name == name && s.PID == pid })
	if i < 0 {
		i = len(b.Lives)
		b.Lives = append(b.Lives, memory.Series{Name: name, PID: pid})
	}
	b.Lives[i].Samples = append(b.Lives[i].Samples, memory.Sample{At: at, MB: mb})
}

// account keeps what a process said last of its memory.
func (b *book) account(process string, at time.Duration, resident float64, heap memory.Heap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Accounts == nil {
		b.Accounts = map[string]string{}
	}
	b.Accounts[process] = fmt.Sprintf("%.1f MB at %s: %s", resident, at.Round(time.Second), heap)
}

// judgeMemory breaches for each program that grew.
func (b *book) judgeMemory() {
	for _, s := range b.Lives {
		if line, grows := s.Verdict(); grows {
			b.breach("memory at rest stays flat: " + line)
		}
	}
}

// report is the whole of it, for people.
func (b *book) report() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var t strings.Builder
	fmt.Fprintf(&t, "soak: seed %d, %d sessions, %d steps in %s, started %d times\n",
		b.Seed, b.Sessions, b.Step, b.Spent.Round(time.Second), b.Started)
	for _, era := range slices.Sorted(maps.Keys(b.Outcomes)) {
		fmt.Fprintf(&t, "  %-14s", era)
		for _, outcome := range slices.Sorted(maps.Keys(b.Outcomes[era])) {
			fmt.Fprintf(&t, " %s %d,", outcome, b.Outcomes[era][outcome])
		}
		t.WriteString("\n")
	}
	t.WriteString("from the end of a fault until every caller had a good answer:\n")
	for _, kind := range slices.Sorted(maps.Keys(b.Faults)) {
		f := b.Faults[kind]
		fmt.Fprintf(&t, "  %-24s %3d times, %5.1f s on average, %5.1f s at most\n", kind, f.N, f.Sum/float64(f.N), f.Longest)
	}
	if b.Logouts.N > 0 {
		fmt.Fprintf(&t, "from a logout until all streams of the user had ended: %d times, %.1f s on average, %.1f s at most\n",
			b.Logouts.N, b.Logouts.Sum/float64(b.Logouts.N), b.Logouts.Longest)
	}
	t.WriteString("memory at rest, of each process:\n")
	for _, s := range b.Lives {
		if line, _ := s.Verdict(); len(s.Samples) > 1 {
			fmt.Fprintf(&t, "  %s\n", line)
		}
		if account := b.Accounts[fmt.Sprintf("%s %d", s.Name, s.PID)]; account != "" && s.Long() {
			fmt.Fprintf(&t, "    its last account: %s\n", account)
		}
	}
	fmt.Fprintf(&t, "promises broken: %d\n", b.Broken)
	for _, text := range b.Breaches {
		fmt.Fprintf(&t, "  %s\n", text)
	}
	return t.String()
}
