package child

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
)

// Why no child is started, which says nothing of its command.
var (
	ErrClosed = errors.New("no child is started any more")
	ErrFull   = errors.New("as many servers run as this machine may carry")
)

// Exhausted tells whether a start failed for want of what the machine has:
// another try may do.
func Exhausted(err error) bool {
	return slices.ContainsFunc(append(exhausted(), ErrFull), func(want error) bool { return errors.Is(err, want) })
}

// Starter starts every child, and bounds how many there are.
type Starter struct {
	Max int // children at once; 0 means any number

	running atomic.Int64
	ahead   atomic.Int64 // that begin to start, asked for by nobody
	jobs    chan job
	quit    chan struct{}
	once    sync.Once
}

type job struct {
	cmd  *exec.Cmd
	done chan error
}

// NewStarter runs what starts them. Close it after the last child has ended.
func NewStarter() *Starter {
	s := &Starter{jobs: make(chan job), quit: make(chan struct{})}
	go s.run()
	return s
}

func (s *Starter) serve() {
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

// Full reports whether as many children run as may.
func (s *Starter) Full() bool { return s.Max > 0 && s.running.Load() >= int64(s.Max) }

// Ahead keeps room for a child that nobody asked for yet, until started is
// called: a quarter of what may run is left to those that somebody asks for, and
// an eighth of the memory. Several that start at once are each counted.
func (s *Starter) Ahead() (started func(), ok bool) {
	begin := s.ahead.Add(1)
	if s.Max > 0 && begin+s.running.Load() > int64(s.Max-s.Max/4) || !memoryLeft() {
		s.ahead.Add(-1)
		return nil, false
	}
	return func() { s.ahead.Add(-1) }, true
}

func (s *Starter) give() { s.running.Add(-1) }

// Close ends it; on Linux, children that still run are killed by that.
func (s *Starter) Close() { s.once.Do(func() { close(s.quit) }) }
