//go:build linux

package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patient   = 20 * time.Second      // the grace of a step that has to work, also on a busy machine
	impatient = 50 * time.Millisecond // the grace of a step that the child ignores
)

func options() Options {
	return Options{MaxLine: 1 << 20, MaxWaiting: 1 << 20, StdinGrace: patient, TermGrace: patient}
}

// run starts a shell script; the package itself never uses a shell.
func run(t *testing.T, script string, opts Options) *Process {
	t.Helper()
	s := NewStarter()
	p, err := s.Start(Spec{Argv: []string{"sh", "-c", script}, Env: os.Environ()}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		wait(t, p)
		p.Close()
		s.Close()
	})
	return p
}

func wait(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(3 * patient):
		t.Fatal("the child does not end")
	}
}

func TestLinesGoThereAndBack(t *testing.T) {
	p := run(t, "cat", options())
	for _, line := range []string{"one", strings.Repeat("x", 300_000), "three"} {
		if _, ok := p.Write([]byte(line)); !ok { // more than a pipe holds
			t.Fatal("it may not wait")
		}
		if got, err := p.Next(); err != nil || string(got) != line {
			t.Errorf("%d bytes of %d came back (%v)", len(got), len(line), err)
		}
	}
}

// TestWhatIsHiddenIsNotInTheLastWords, nor in a line that comes in pieces.
func TestWhatIsHiddenIsNotInTheLastWords(t *testing.T) {
	o := options()
	var said []string
	o.Stderr = func(line string) { said = append(said, line) }
	o.Hide = func(text string, more bool) (shown, rest string) {
		if more {
			at := len(text) - 4
			return text[:at], text[at:]
		}
		return strings.ReplaceAll(text, "hush", "[...]"), ""
	}
	p := run(t, "echo my hush >&2; printf '%04094dhush\\n' 0 >&2", o)
	wait(t, p)
	_, stderr := p.Exit()
	all := strings.Join(said, "\n")
	if strings.Contains(all, "hu") || all != stderr || strings.Count(all, "[...]") != 2 {
		t.Errorf("%q, %q", said, stderr)
	}
}

func TestExitTellsStatusAndLastLines(t *testing.T) {
	p := run(t, "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; echo last words; exit 3", options())
	if got, err := p.Next(); err != nil || string(got) != "last words" {
		t.Errorf("what it wrote before its end: %q, %v", got, err)
	}
	if _, err := p.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after its end: %v", err)
	}
	wait(t, p)
	status, stderr := p.Exit()
	if status != "exit status 3" || !strings.HasPrefix(stderr, "line 3\n") || !strings.HasSuffix(stderr, "line 7") {
		t.Errorf("%q, %q", status, stderr)
	}
}

// TestLadder: each child ends by the step that it does not ignore. It says that
// it is up once it ignores what it shall.
func TestLadder(t *testing.T) {
	const lives = "while :; do sleep 0.05; done"
	for name, tc := range map[string]struct {
		script, status string
		stdin, term    time.Duration
	}{
		"the end of standard input": {"echo up; cat >/dev/null; exit 0", "exit status 0", patient, patient},
		"TERM":                      {"echo up; " + lives, "signal: terminated", impatient, patient},
		"KILL":                      {"trap '' TERM; echo up; " + lives, "signal: killed", impatient, impatient},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options()
			opts.StdinGrace, opts.TermGrace = tc.stdin, tc.term
			p := run(t, tc.script, opts)
			if _, err := p.Next(); err != nil {
				t.Fatal(err)
			}
			p.Stop()
			wait(t, p)
			if status, _ := p.Exit(); status != tc.status {
				t.Errorf("it ended by %q, want %q", status, tc.status)
			}
		})
	}
}

// TestTheWholeGroupEnds, whether the child is killed or ends by itself.
func TestTheWholeGroupEnds(t *testing.T) {
	for rest, kill := range map[string]bool{"; wait": true, "": false} {
		p := run(t, "sleep 600 & echo $!"+rest, options())
		line, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		var grandchild int
		if _, err := fmt.Sscan(string(line), &grandchild); err != nil {
			t.Fatal(err)
		}
		if kill {
			p.Kill()
		}
		wait(t, p)
		if !ends(t, grandchild) {
			_ = syscall.Kill(grandchild, syscall.SIGKILL)
			t.Fatalf("the grandchild lives on; its parent was killed: %v", kill)
		}
	}
}

// ends waits for the end of a process that is nobody's child here.
func ends(t *testing.T, pid int) bool {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patient.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 1
		}
	}
}

// TestTheStartersEndIsItsChildrens: its thread is their parent, and ends with
// it as with a bridge that was killed (prctl(2), PR_SET_PDEATHSIG). So many at
// once that one of them meets the first thread of the process.
func TestTheStartersEndIsItsChildrens(t *testing.T) {
	starters := make([]*Starter, 20)
	children := make([]*Process, len(starters))
	for i := range starters {
		starters[i] = NewStarter()
		p, err := starters[i].Start(Spec{Argv: []string{"sleep", "600"}}, options())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		t.Cleanup(p.Kill)
		children[i] = p
	}
	for i, p := range children {
		starters[i].Close()
		wait(t, p)
		if status, _ := p.Exit(); !strings.HasPrefix(status, "signal: killed") {
			t.Errorf("it ended by %q", status)
		}
	}
}

func TestStartFails(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	for name, argv := range map[string][]string{
		"no command": nil, "no such file": {"/nonexistent/server"}, "no program": {os.TempDir()},
	} {
		if _, err := s.Start(Spec{Argv: argv}, options()); err == nil {
			t.Errorf("%s: it started", name)
		}
	}
	s.Close()
	if _, err := s.Start(Spec{Argv: []string{"true"}}, options()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestArgumentsAreNeverAShells(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	p, err := s.Start(Spec{Argv: []string{"echo", "$HOME; `id` | x > y"}, Env: os.Environ()}, options())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := p.Next(); err != nil || string(got) != "$HOME; `id` | x > y" {
		t.Errorf("%q, %v", got, err)
	}
	wait(t, p)
}
