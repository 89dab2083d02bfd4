package child

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrClosed says that the starter was closed.
var ErrClosed = errors.New("no child is started any more")

// Starter starts every child from one thread that lives as long as it does.
// Linux sends Pdeathsig when the thread that forked ends, not the process
// (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends threads at will.
type Starter struct {
	jobs chan job
	quit chan struct{}
	once sync.Once
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

// Close ends the thread; children that still run are killed by it.
func (s *Starter) Close() { s.once.Do(func() { close(s.quit) }) }
