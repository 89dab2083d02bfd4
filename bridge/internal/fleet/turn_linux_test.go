package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// starts is a server whose users have one place each of two, each told to the
// folder by its process id.
func starts(t *testing.T, dir string) (*fleet.Server, *fleet.Turns) {
	t.Helper()
	turns := fleet.SomeTurns(2, 1)
	return startsIn(t, dir, turns), turns
}

func startsIn(t *testing.T, dir string, turns *fleet.Turns) *fleet.Server {
	t.Helper()
	return newServer(t, func(c *fleet.ServerConfig) {
		c.Spec.Argv = []string{"sh", "-c", `: > "$1/$$"; exec "$0"`, c.Spec.Argv[0], dir}
		c.Turns, c.Isolation = turns, fleet.PerSession
	})
}

// open starts a child for a session of the user.
func open(t *testing.T, s *fleet.Server, user string) *mux.Conn {
	t.Helper()
	conn, err := s.ForSession(t.Context(), &contract.Identity{Subject: user}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// waits opens another one, which has to wait.
func waits(ctx context.Context, t *testing.T, s *fleet.Server, turns *fleet.Turns, user string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := s.ForSession(ctx, &contract.Identity{Subject: user}, "test")
		done <- err
	}()
	fronttest.Eventually(t, "it is in the line", func() bool { return turns.Waiting(user) == 1 })
	return done
}

// came waits for what became of one that had to wait.
func came(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for ever")
		return nil
	}
}

// TestEveryStartTakesItsTurn: a user's second child starts when his first has
// said a word, or has ended; another user's is not in its way.
func TestEveryStartTakesItsTurn(t *testing.T) {
	server, turns := starts(t, t.TempDir())
	first := open(t, server, "alice")
	second := waits(t.Context(), t, server, turns, "alice")
	bob := open(t, server, "bob")
	asks(t, bob, "user") // its first word
	if len(second) != 0 {
		t.Error("two children of one user start at once")
	}
	asks(t, first, "user")
	if err := came(t, second); err != nil {
		t.Error(err)
	}
	third := waits(t.Context(), t, server, turns, "alice") // the second never says a word
	first.Kill()
	<-first.Done()
	if len(third) != 0 {
		t.Error("the end of a child that has spoken frees a place a second time")
	}
	carol := open(t, server, "carol")
	fourth := waits(t.Context(), t, server, turns, "carol")
	carol.Kill() // before its first word
	if err := came(t, fourth); err != nil {
		t.Error(err)
	}
}

// TestAWaitForAStartEnds with who waits, and with the server that he waits for.
func TestAWaitForAStartEnds(t *testing.T) {
	server, turns := starts(t, t.TempDir())
	open(t, server, "alice")
	ctx, leave := context.WithCancel(t.Context())
	second := waits(ctx, t, server, turns, "alice")
	leave()
	if err := came(t, second); !errors.Is(err, context.Canceled) {
		t.Errorf("who went away is told %v", err)
	}
	other := startsIn(t, t.TempDir(), turns)
	third := waits(t.Context(), t, other, turns, "alice")
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var no *mux.Refusal
	if err := came(t, third); !errors.As(err, &no) {
		t.Errorf("who waits for a bridge that stops is told %v", err)
	}
}

// lowers tells whether the priority of a child is lowered here at all.
func lowers(t *testing.T) bool {
	t.Helper()
	starter := child.NewStarter()
	defer starter.Close()
	p, err := starter.Start(child.Spec{Argv: []string{"cat"}}, child.Options{MaxLine: 1, MaxWaiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer func() { <-p.Done() }()
	defer p.Kill()
	return p.Lower()
}

// TestWhoStartsManyLetsOthersGoFirst: the second child of a user within a while
// has the lowest priority until it says a word.
func TestWhoStartsManyLetsOthersGoFirst(t *testing.T) {
	if !lowers(t) {
		t.Skip("this program may not raise a priority again, or has the lowest itself")
	}
	dir := t.TempDir()
	server, _ := starts(t, dir)
	nice := func() string { // that of all children
		pids, _ := filepath.Glob(dir + "/*")
		var all []int
		for _, name := range pids {
			pid, _ := strconv.Atoi(filepath.Base(name))
			n, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, 20-n)
		}
		return fmt.Sprint(all)
	}
	own := 20 - must(unix.Getpriority(unix.PRIO_PROCESS, os.Getpid()))
	first := open(t, server, "alice")
	ready(t, dir, 1)
	if got := nice(); got != fmt.Sprint([]int{own}) {
		t.Errorf("the first child starts at %s", got)
	}
	asks(t, first, "user")
	first.Kill()
	<-first.Done()
	pids, _ := filepath.Glob(dir + "/*")
	_ = os.Remove(pids[0])
	second := open(t, server, "alice")
	ready(t, dir, 1)
	if got := nice(); got != "[19]" {
		t.Errorf("the second child starts at %s, want [19]", got)
	}
	asks(t, second, "user")
	if got := nice(); got != fmt.Sprint([]int{own}) {
		t.Errorf("after its first word the child runs at %s, want [%d]", got, own)
	}
}

// TestAStartIsInNobodysWay: a machine that is slow to start a process holds up
// nobody else.
func TestAStartIsInNobodysWay(t *testing.T) {
	begun, done := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(done) })
	defer goOn()
	server := newServer(t, func(c *fleet.ServerConfig) {
		starter, spec, opts := c.Starter, c.Spec, c.Child
		opts.Stderr, opts.MaxLine, opts.MaxWaiting = func(string) {}, c.Limits.Line, c.Limits.Waiting
		c.Start = func(_ *contract.Identity, label string) (mux.Process, error) {
			if label == "slow" {
				close(begun)
				<-done
			}
			return starter.Start(spec, opts)
		}
	})
	slow := make(chan error, 1)
	go func() {
		_, err := server.ForSession(t.Context(), &contract.Identity{Subject: "alice"}, "slow")
		slow <- err
	}()
	<-begun
	quick := make(chan error, 1)
	go func() {
		_, err := server.ForSession(t.Context(), &contract.Identity{Subject: "bob"}, "quick")
		quick <- err
	}()
	if err := came(t, quick); err != nil {
		t.Error(err)
	}
	goOn()
	if err := came(t, slow); err != nil {
		t.Error(err)
	}
}

func must(n int, err error) int {
	if err != nil {
		panic(err)
	}
	return n
}
