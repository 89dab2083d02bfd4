package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// Spec says what to start.
type Spec struct {
	Argv []string
	Env  []string // the whole environment
	Dir  string   // "" is the bridge's own
	Box  Box      // what it runs in; nil is none
}

// Box confines a child. Who made it closes it where the start fails.
type Box interface {
	Enter(cmd *exec.Cmd) error // has the last word on what is started
	Kill()                     // ends what is in it, also what has left the process group
	Ended() (why string)       // the child was reaped: why the box ended it, or ""
}

// Options bound a child and its end.
type Options struct {
	MaxLine    int           // bytes of one line on standard output
	MaxWaiting int           // bytes that may wait until the child reads, or one line
	StdinGrace time.Duration // from the end of standard input to TERM
	TermGrace  time.Duration // from TERM to KILL
	Stderr     func(line string)

	// Hide takes out of a text on standard error what nobody may read: the log
	// and the word about an exit have what is shown. Where more of the line is to
	// come, rest is what may be the beginning of a secret, to be asked about again
	// with what follows. nil hides nothing.
	Hide func(text string, more bool) (shown, rest string)
}

// Process is a running child. One goroutine calls Next; the rest is safe for
// concurrent use.
type Process struct {
	opts   Options
	cmd    *exec.Cmd
	family system // it and what it starts
	box    Box    // may be nil
	stdin  *os.File
	stdout *os.File
	lines  *rpc.Lines
	tail   tail
	done   chan struct{}
	exit   string

	outbox  outbox
	stopped sync.Once
	life    sync.Mutex
	killed  bool // by us
	ended   bool
}

// Start runs the spec.
func (s *Starter) Start(spec Spec, opts Options) (*Process, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("no command")
	}
	//nolint:noctx // stop is the child's end: a ladder from stdin's end to SIGKILL
	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	family := &group{}
	family.prepare(cmd)
	if spec.Box != nil {
		if err := spec.Box.Enter(cmd); err != nil {
			return nil, fmt.Errorf("start %s: %w", spec.Argv[0], err)
		}
	}
	if err := s.take(); err != nil {
		return nil, err
	}
	var pipes pipes
	if err := pipes.open(cmd); err != nil {
		pipes.close()
		s.give()
		return nil, err
	}
	if err := s.start(cmd); err != nil {
		pipes.close()
		s.give()
		return nil, fmt.Errorf("start %s: %w", spec.Argv[0], err)
	}
	pipes.closeTheirs()
	if err := family.started(cmd); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		family.release()
		pipes.close()
		s.give()
		return nil, fmt.Errorf("start %s: %w", spec.Argv[0], err)
	}
	p := &Process{
		opts: opts, cmd: cmd, family: family, box: spec.Box, stdin: pipes.stdin, stdout: pipes.stdout,
		lines: rpc.NewLines(pipes.stdout, opts.MaxLine), done: make(chan struct{}),
	}
	p.outbox = outbox{pipe: pipes.stdin, max: opts.MaxWaiting, broken: p.Stop}
	errDone := make(chan struct{})
	go func() {
		defer close(errDone)
		p.tail.read(pipes.stderr, opts.Stderr, opts.Hide)
	}()
	go func() {
		p.wait(pipes.stderr, errDone)
		s.give()
		close(p.done)
	}()
	return p, nil
}

// PID is the child's process id and that of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Next returns the next line of standard output.
func (p *Process) Next() ([]byte, error) { return p.lines.Next() }

// Done is closed when the child has been reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit tells how the child ended and its last lines on standard error. It may
// be called after Done.
func (p *Process) Exit() (status, stderr string) { return p.exit, p.tail.String() }

// Write gives the child one line with the edits made. It never blocks: where
// the child does not read, the line waits. withdraw takes back a line of which
// the child was given nothing; it is nil where nothing waits. ok is false where
// no more may wait. What is written to a child that has ended goes nowhere.
func (p *Process) Write(line []byte, edits ...rpc.Edit) (withdraw func() bool, ok bool) {
	return p.outbox.put(line, edits)
}

// Stuck is for how long the child has taken nothing of what waits for it; zero
// where nothing waits.
func (p *Process) Stuck(now time.Time) time.Duration { return p.outbox.stuck(now) }

// Stop walks the ladder and returns at once; Done tells when it has ended.
func (p *Process) Stop() {
	p.stopped.Do(func() {
		closeInput(p.stdin)
		go p.ladder()
	})
}

func (p *Process) ladder() {
	if p.endsWithin(p.opts.StdinGrace) {
		return
	}
	p.signal(p.family.terminate)
	if p.endsWithin(p.opts.TermGrace) {
		return
	}
	p.Kill()
}

func (p *Process) endsWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// Kill ends it and what it started.
func (p *Process) Kill() {
	p.signal(func() {
		p.killed = true
		p.killAll()
	})
}

func (p *Process) killAll() {
	p.family.kill()
	if p.box != nil {
		p.box.Kill()
	}
}

// signal does nothing once the child may have been reaped: its number may then
// mean anybody.
func (p *Process) signal(send func()) {
	p.life.Lock()
	defer p.life.Unlock()
	if !p.ended {
		send()
	}
}

// wait sees the child end, kills what is left of its group, then reaps it.
func (p *Process) wait(stderr *os.File, errDone <-chan struct{}) {
	p.family.await()
	p.life.Lock()
	p.killAll()
	p.ended = true
	p.life.Unlock()
	err := p.cmd.Wait()
	p.family.release()
	p.exit = p.epitaph(err)
	// What it wrote before its end is still read; a process that left the
	// group cannot hold the pipes open for longer.
	_ = stderr.SetReadDeadline(time.Now().Add(drainWait))
	_ = p.stdout.SetReadDeadline(time.Now().Add(drainWait))
	<-errDone
	_ = stderr.Close()
	_ = p.stdin.Close()
}

// epitaph is how it ended. A signal that nobody here has sent is the kernel's,
// which ends what takes the last memory of a machine or a container.
func (p *Process) epitaph(err error) string {
	why := ""
	if p.box != nil {
		why = p.box.Ended()
	}
	switch {
	case why != "":
		return why
	case err == nil:
		return "exit status 0"
	case err.Error() == "signal: killed" && !p.killed:
		return "signal: killed (not by the bridge: most often for want of memory)"
	}
	return err.Error()
}

const drainWait = 2 * time.Second

// Close frees the reading end. The reader calls it after the last Next.
func (p *Process) Close() { _ = p.stdout.Close() }
