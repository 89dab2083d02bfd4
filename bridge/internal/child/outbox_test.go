//go:build linux

package child

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWhatWaitsForABusyChildIsBounded: nobody who writes is held up, the child
// is not ended, and gets all of it in order when it reads again.
func TestWhatWaitsForABusyChildIsBounded(t *testing.T) {
	opts := options()
	opts.MaxWaiting = 1 << 20
	gate := t.TempDir() + "/go"
	p := run(t, "while [ ! -e "+gate+" ]; do sleep 0.01; done; cat", opts)
	line := []byte(strings.Repeat("x", 16<<10))
	sent := 0
	for ; sent < 1000; sent++ {
		if _, ok := p.Write(fmt.Appendf(nil, "%d %s", sent, line)); !ok {
			break
		}
	}
	if held := sent * len(line); held < 1<<20 || held > 2<<20 {
		t.Errorf("%d bytes wait", held)
	}
	if p.Stuck(time.Now().Add(time.Minute)) < time.Minute {
		t.Error("the child is not known to take nothing")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range sent {
		got, err := p.Next()
		if want := fmt.Sprintf("%d %s", n, line); err != nil || string(got) != want {
			t.Fatalf("line %d: %d bytes, %v", n, len(got), err)
		}
	}
	if _, ok := p.Write([]byte("more")); !ok {
		t.Error("there is room again, and nothing may wait")
	}
	if got, err := p.Next(); err != nil || string(got) != "more" {
		t.Errorf("%q, %v", got, err)
	}
	for end := time.Now().Add(20 * time.Second); p.Stuck(time.Now()) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) { // whoever wrote the last line has long seen that nothing waits
			t.Fatalf("nothing waits, and it is stuck for %s", p.Stuck(time.Now()))
		}
	}
}

// TestWhatIsWithdrawnNeverReachesTheChild, and leaves its room to others.
func TestWhatIsWithdrawnNeverReachesTheChild(t *testing.T) {
	opts := options()
	opts.MaxWaiting = 1 << 20
	gate := t.TempDir() + "/go"
	p := run(t, "while [ ! -e "+gate+" ]; do sleep 0.01; done; cat", opts)
	pad := strings.Repeat("x", 32<<10)
	p.Write([]byte("first " + strings.Repeat(pad, 4))) // fills the pipe
	for n := range 500 {
		withdraw, ok := p.Write([]byte("never " + pad))
		if !ok || withdraw == nil {
			t.Fatalf("line %d found no room", n)
		}
		if !withdraw() || withdraw() {
			t.Fatal("a line is withdrawn once")
		}
	}
	last, _ := p.Write([]byte("last"))
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "last"} {
		if got, err := p.Next(); err != nil || !strings.HasPrefix(string(got), want) {
			t.Fatalf("%.20q, %v", got, err)
		}
	}
	if last() {
		t.Error("what the child was given is withdrawn")
	}
}

// TestAChildThatClosesItsInputIsEnded by TERM where it does not end by itself;
// its exit and last words are known.
func TestAChildThatClosesItsInputIsEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		script, status string
		stdin          time.Duration
	}{
		"it ends by itself": {"sleep 0.1; echo last words >&2; exit 3", "exit status 3", patient},
		"it would go on":    {"echo last words >&2; while :; do sleep 0.05; done", "signal: terminated", impatient},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options()
			opts.StdinGrace = tc.stdin
			p := run(t, "exec 0<&-; echo closed; "+tc.script, opts)
			if _, err := p.Next(); err != nil {
				t.Fatal(err)
			}
			if _, ok := p.Write([]byte("anything")); !ok {
				t.Error("what nobody reads is taken for too much")
			}
			wait(t, p)
			if status, stderr := p.Exit(); status != tc.status || stderr != "last words" {
				t.Errorf("%q, %q", status, stderr)
			}
		})
	}
}

// TestNoThreadIsHeldForAChild: the runtime ends a program with 10,000 threads.
func TestNoThreadIsHeldForAChild(t *testing.T) {
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	before := threads()
	for range 40 {
		run(t, "cat", options())
	}
	// Each child of this test has a starter, which holds a thread.
	if more := threads() - before - 40; more > 20 {
		t.Errorf("40 children hold %d threads", more)
	}
}

func TestAMachineThatIsFullSaysSo(t *testing.T) {
	s := NewStarter()
	s.Max = 1
	defer s.Close()
	spec := Spec{Argv: []string{"cat"}}
	p, err := s.Start(spec, options())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := s.Start(spec, options()); !errors.Is(err, ErrFull) || !Exhausted(err) {
		t.Errorf("one more than there may be: %v", err)
	}
	p.Kill()
	wait(t, p)
	if p, err = s.Start(spec, options()); err != nil {
		t.Fatalf("when one has ended: %v", err)
	}
	p.Kill()
	wait(t, p)
	p.Close()
	fork := fmt.Errorf("start: %w", &os.SyscallError{Syscall: "fork", Err: unix.EAGAIN})
	if !Exhausted(fork) || Exhausted(os.ErrNotExist) {
		t.Error("what the machine lacks is taken for a fault of the command")
	}
	if n := Capacity(); n < minCapacity {
		t.Errorf("this machine carries %d", n)
	}
}

// TestWhatAChildNeverReadIsTakenBackWhenItHasEnded: such a call did not run.
func TestWhatAChildNeverReadIsTakenBackWhenItHasEnded(t *testing.T) {
	gate := t.TempDir() + "/go"
	p := run(t, "while [ ! -e "+gate+" ]; do sleep 0.01; done; exit 3", options())
	var last func() bool
	for line := []byte(strings.Repeat("x", 16<<10)); last == nil; {
		last, _ = p.Write(line)
	}
	later, _ := p.Write([]byte("later"))
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := p.Next(); err == nil; _, err = p.Next() {
	}
	<-p.Done()
	if !later() {
		t.Error("what stood behind it in the line is not taken back")
	}
	if after, ok := p.Write([]byte("after")); !ok || after == nil || !after() {
		t.Error("what came after the end is not taken back")
	}
}
