package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Why no child is started, which says nothing of its command.
var (
	ErrClosed = errors.New("no child is started any more")
	ErrFull   = errors.New("as many servers run as this machine may carry")
)

// Exhausted tells whether a start failed for want of what the machine has:
// another try may do.
func Exhausted(err error) bool {
	for _, want := range []error{ErrFull, unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// Starter starts every child from one thread that lives as long as it does.
// Linux sends Pdeathsig when the thread that forked ends, not the process
// (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends threads at will.
type Starter struct {
	Max int // children at once; 0 means any number

	running atomic.Int64
	jobs    chan job
	quit    chan struct{}
	once    sync.Once
}

type job struct {
	cmd  *exec.Cmd
	done chan error
}

// NewStarter runs the thread. Close it after the last child has ended.
func NewStarter() *Starter {
	s := &Starter{jobs: make(chan job), quit: make(chan struct{})}
	go s.run()
	return s
}

// run never unlocks its thread, which therefore ends with it; but the first
// thread of a process never ends, so that one is held until another is found.
func (s *Starter) run() {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		elsewhere := make(chan struct{})
		go func() { close(elsewhere); s.run() }()
		<-elsewhere
		runtime.UnlockOSThread()
		return
	}
	for {
		select {
		case j := <-s.jobs:
			j.done <- j.cmd.Start()
		case <-s.quit:
			return
		}
	}
}

func (s *Starter) start(cmd *exec.Cmd) error {
	j := job{cmd: cmd, done: make(chan error, 1)}
	select {
	case s.jobs <- j:
		return <-j.done
	case <-s.quit:
		return ErrClosed
	}
}

// take has a place for one more child, which give frees.
func (s *Starter) take() error {
	if n := s.running.Add(1); s.Max > 0 && n > int64(s.Max) {
		s.give()
		return fmt.Errorf("%w (%d)", ErrFull, s.Max)
	}
	return nil
}

func (s *Starter) give() { s.running.Add(-1) }

// Close ends the thread; children that still run are killed by it.
func (s *Starter) Close() { s.once.Do(func() { close(s.quit) }) }
