package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/test/freeport"
)

// Part is one program of the gate.
type Part struct {
	Name    string
	Wait    string // what its being up looks like, for people
	argv    []string
	env     []string
	up      func(ctx context.Context) error
	log     string
	time    time.Duration
	waiting func(p *Part, since time.Duration)
	by      []string // of an attached gate: the command that starts and stops its parts

	cmd  *exec.Cmd
	done chan struct{}
}

// Took is how long the last start took.
func (p *Part) Took() time.Duration { return p.time }

// Log is the file with what the part said.
func (p *Part) Log() string { return p.log }

// Done is closed when the process of the last start has ended.
func (p *Part) Done() <-chan struct{} { return p.done }

// LastLine is what the part said last.
func (p *Part) LastLine() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "it left no log"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// Pid is the process that runs, 0 for none.
func (p *Part) Pid() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// start runs the part in a process group of its own and waits until it is up.
func (p *Part) start(ctx context.Context) error {
	begin := time.Now()
	if p.by != nil {
		err := p.order(ctx, "start")
		p.time = time.Since(begin)
		return err
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(p.argv[0], p.argv[1:]...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w; `make deps` installs what is missing", p.Name, err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
	err = p.await(ctx)
	p.time = time.Since(begin)
	return err
}

func (p *Part) await(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	begin, told := time.Now(), time.Duration(0)
	for {
		if since := time.Since(begin); p.waiting != nil && since > told+time.Second {
			told = since
			p.waiting(p, since)
		}
		if last = p.up(ctx); last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at its start: %s (the whole of it: %s)", p.Name, p.LastLine(), p.log)
		case <-ctx.Done():
			return fmt.Errorf("%s is not up (waiting for %s): read %s: %w", p.Name, p.Wait, p.log, last)
		case <-tick.C:
		}
	}
}

const stopGrace = 10 * time.Second

// order tells whoever runs an attached gate, and waits until the part is up.
func (p *Part) order(ctx context.Context, verb string) error {
	argv := append(slices.Clone(p.by), verb, p.Name)
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", argv, err, out)
	}
	if verb == "stop" {
		return nil
	}
	p.done = make(chan struct{}) // nobody tells when it ends
	return p.await(ctx)
}

// stop ends the whole group: TERM, then KILL.
func (p *Part) stop() error {
	if p.by != nil {
		return p.order(context.Background(), "stop")
	}
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what the leader left behind
	<-p.done
	p.cmd = nil
	return nil
}

// answers waits for a 200 at the URL.
func answers(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	}
}

// listens waits for an open port.
func listens(addr string) func(context.Context) error {
	return func(context.Context) error {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// free checks that nobody has the port, or picks one for 0 that is this
// process's until its end.
func free(part, option string, port int) (int, error) {
	if port == 0 {
		port, _, err := freeport.Reserve()
		return port, err
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, fmt.Errorf(
			"%s: port %d is taken by another program: give -%s another one, or -free for free ports everywhere",
			part,
			port,
			option,
		)
	}
	return port, l.Close()
}

// clientFor speaks to the gate from the local address from, nil for any.
func clientFor(roots *tls.Config, from net.IP) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: from}
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: roots, ForceAttemptHTTP2: true, DialContext: dialer.DialContext},
	}
}

// Root is the repository: the folder above with go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.mod above this folder")
}
