package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/bridge/internal/rpc"
)

// Spec says what to start.
type Spec struct {
	Argv []string
	Env  []string // the whole environment
	Dir  string   // "" is the bridge's own
}

// Options bound a child and its end.
type Options struct {
	MaxLine    int           // bytes of one line on standard output
	WriteWait  time.Duration // a child that does not read for so long is stuck
	StdinGrace time.Duration // from the end of standard input to TERM
	TermGrace  time.Duration // from TERM to KILL
	Stderr     func(line string)
}

// ErrStuck says that the child does not read its standard input.
var ErrStuck = errors.New("the server does not read its input")

// Process is a running child. Write and Stop are safe for concurrent use; one
// goroutine reads Lines.
type Process struct {
	opts   Options
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	lines  *rpc.Lines
	tail   tail
	done   chan struct{}
	exit   string

	mu      sync.Mutex // one line after the other
	buf     []byte
	stopped sync.Once
}

// Start runs the spec.
func (s *Starter) Start(spec Spec, opts Options) (*Process, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("no command")
	}
	//nolint:noctx // stop is the child's end: a ladder from stdin's end to SIGKILL
	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var pipes pipes
	if err := pipes.open(cmd); err != nil {
		pipes.close()
		return nil, err
	}
	if err := s.start(cmd); err != nil {
		pipes.close()
		return nil, fmt.Errorf("start %s: %w", spec.Argv[0], err)
	}
	pipes.closeTheirs()
	p := &Process{
		opts: opts, cmd: cmd, stdin: pipes.stdin, stdout: pipes.stdout,
		lines: rpc.NewLines(pipes.stdout, opts.MaxLine), done: make(chan struct{}),
	}
	errDone := make(chan struct{})
	go func() {
		defer close(errDone)
		p.tail.read(pipes.stderr, opts.Stderr)
	}()
	go p.wait(pipes.stderr, errDone)
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

// Write sends one line with the edits made. It blocks while the child's pipe
// is full, for WriteWait at most.
func (p *Process) Write(line []byte, edits ...rpc.Edit) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = append(rpc.AppendEdited(p.buf[:0], line, edits...), '\n')
	buf := p.buf
	if cap(p.buf) > keepBuffer {
		p.buf = nil
	}
	if len(buf) <= pipeAtomic {
		if err := p.writeNow(buf); !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
	return p.writeWait(buf)
}

const (
	keepBuffer = 256 << 10
	pipeAtomic = 4096 // PIPE_BUF: such a write is whole or not at all (pipe(7))
)

// writeNow is the write without a timer: most lines fit the pipe at once.
func (p *Process) writeNow(buf []byte) error {
	conn, err := p.stdin.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var werr error
	err = conn.Write(func(fd uintptr) bool {
		n, werr = unix.Write(int(fd), buf)
		return true
	})
	switch {
	case err != nil:
		return err
	case werr != nil:
		return werr
	case n != len(buf):
		return fmt.Errorf("short write to the server: %d of %d bytes", n, len(buf))
	}
	return nil
}

func (p *Process) writeWait(buf []byte) error {
	_ = p.stdin.SetWriteDeadline(time.Now().Add(p.opts.WriteWait))
	_, err := p.stdin.Write(buf)
	_ = p.stdin.SetWriteDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrStuck // half a line may be there: nothing more can be said to it
	}
	return err
}

// Stop walks the ladder and returns at once; Done tells when it has ended.
func (p *Process) Stop() {
	p.stopped.Do(func() {
		_ = p.stdin.Close()
		go p.ladder()
	})
}

func (p *Process) ladder() {
	if p.endsWithin(p.opts.StdinGrace) {
		return
	}
	p.signal(syscall.SIGTERM)
	if p.endsWithin(p.opts.TermGrace) {
		return
	}
	p.signal(syscall.SIGKILL)
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

// Kill ends the group at once.
func (p *Process) Kill() { p.signal(syscall.SIGKILL) }

// signal reaches the whole group. The leader is reaped only after its group
// has been killed, so the number cannot mean anybody else.
func (p *Process) signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.PID(), sig)
	}
}

// wait sees the child end, kills what is left of its group, then reaps it.
func (p *Process) wait(stderr *os.File, errDone <-chan struct{}) {
	for {
		err := unix.Waitid(unix.P_PID, p.PID(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	err := p.cmd.Wait()
	p.exit = "exit status 0"
	if err != nil {
		p.exit = err.Error()
	}
	// What it wrote before its end is still read; a process that left the
	// group cannot hold the pipes open for longer.
	_ = stderr.SetReadDeadline(time.Now().Add(drainWait))
	_ = p.stdout.SetReadDeadline(time.Now().Add(drainWait))
	<-errDone
	_ = stderr.Close()
	_ = p.stdin.Close()
	close(p.done)
}

const drainWait = 2 * time.Second

// Close frees the reading end. The reader calls it after the last Next.
func (p *Process) Close() { _ = p.stdout.Close() }
