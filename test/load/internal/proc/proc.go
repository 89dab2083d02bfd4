// Package proc starts the programs that are measured, and reads from /proc
// what they and all below them took. It promises that nothing it started is
// left when Stop has returned. It must never know what a program is for.
package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/test/freeport"
)

// Spec says what to start.
type Spec struct {
	Name string
	Argv []string
	Env  []string // added to the environment
	Log  string   // file for stdout and stderr
	Addr string   // host:port that it listens on when it is ready
}

// Proc is a running program in a process group of its own.
type Proc struct {
	Name string
	PID  int
	Addr string

	log  string
	done chan struct{}
}

const (
	startTime = 20 * time.Second
	stopTime  = 5 * time.Second
	poll      = 20 * time.Millisecond
)

// Start runs a program and waits until it takes connections at its address.
func Start(ctx context.Context, s Spec) (*Proc, error) {
	logFile, err := os.Create(s.Log)
	if err != nil {
		return nil, err
	}
	defer logFile.Close() //nolint:errcheck // the child has its own descriptor
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	p := &Proc{Name: s.Name, PID: cmd.Process.Pid, Addr: s.Addr, log: s.Log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its exit is seen by whoever waits for its port
		close(p.done)
	}()
	if err := p.await(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Proc) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", p.Addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it listened on %s: %s", p.Name, p.Addr, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %s", p.Name, p.Addr, ctx.Err(), p.tail())
		case <-tick.C:
		}
	}
}

func (p *Proc) tail() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-600):])
}

// Stop ends the whole group: TERM, and KILL for what is left after a while.
func (p *Proc) Stop() {
	_ = syscall.Kill(-p.PID, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(-p.PID, syscall.SIGKILL) // also what the leader left behind
	<-p.done
}

// FreeAddr is a loopback address that is this process's until its end.
func FreeAddr() (string, error) {
	port, _, err := freeport.Reserve()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}

// Port is the port of host:port.
func Port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// Usage is what a program and all below it took.
type Usage struct {
	CPU   time.Duration // user and system, ended children included
	RSSKB int           // resident now
}

// Sub is the usage between two readings.
func (u Usage) Sub(before Usage) Usage {
	return Usage{CPU: u.CPU - before.CPU, RSSKB: u.RSSKB - before.RSSKB}
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on

// Measure adds up the trees of processes under the given roots.
func Measure(roots ...*Proc) (Usage, error) {
	all, err := table()
	if err != nil {
		return Usage{}, err
	}
	var sum Usage
	for _, root := range roots {
		sum = add(sum, tree(all, root.PID))
	}
	return sum, nil
}

// Resident is the memory of the program alone, without its children.
func Resident(p *Proc) (int, error) {
	s, err := readStat(p.PID)
	return s.usage.RSSKB, err
}

func add(a, b Usage) Usage { return Usage{a.CPU + b.CPU, a.RSSKB + b.RSSKB} }

func tree(all map[int]stat, pid int) Usage {
	sum := all[pid].usage
	for child, s := range all {
		if s.parent == pid {
			sum = add(sum, tree(all, child))
		}
	}
	return sum
}

type stat struct {
	parent int
	usage  Usage
}

func table() (map[int]stat, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // else it ended meanwhile
			all[pid] = s
		}
	}
	return all, nil
}

var errStat = errors.New("/proc/PID/stat is not as proc(5) says")

// readStat reads proc(5): ppid is field 4, utime to cstime are 14 to 17, rss is 24.
func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	end := strings.LastIndexByte(string(raw), ')') // the name may hold spaces
	fields := strings.Fields(string(raw[end+1:]))
	if len(fields) < 22 {
		return stat{}, errStat
	}
	n := func(field int) int { v, _ := strconv.Atoi(fields[field-3]); return v }
	own, ok := onCPU(pid)
	if !ok {
		own = time.Duration(n(14)+n(15)) * tick
	}
	return stat{
		parent: n(4),
		usage:  Usage{CPU: own + time.Duration(n(16)+n(17))*tick, RSSKB: n(24) * os.Getpagesize() / 1024},
	}, nil
}

// onCPU is the time that the threads of a process ran, to the nanosecond: ticks
// of 10 ms are coarse for a window of a few hundred. It is the first number of
// /proc/PID/task/TID/schedstat (proc(5)), which not every kernel has.
func onCPU(pid int) (sum time.Duration, ok bool) {
	threads, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	for _, path := range threads {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		first, _, _ := strings.Cut(string(raw), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, false
		}
		sum, ok = sum+time.Duration(ns), true
	}
	return sum, ok
}
