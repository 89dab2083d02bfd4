// Package fault breaks a running gate and mends it again. It promises that when
// Do returns all parts run, and that a signal goes to nobody but what the gate
// started. It must never know who calls the gate.
package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"gatehouse/test/soak/internal/memory"
	"gatehouse/test/soak/internal/plan"
	"gatehouse/test/stack"
)

// Faults breaks one gate.
type Faults struct {
	Gate  *stack.Stack
	Child string // the program that the bridge starts
	Clock string // the file of Keycloak's clock, "" where it cannot be moved
}

// Do breaks what the step says, holds it so, and returns when it is mended.
func (f *Faults) Do(ctx context.Context, s plan.Step) error {
	bridge, authsvc := stack.Replica(stack.Bridge, s.Replica), stack.Replica(stack.Authsvc, s.Replica)
	switch s.Kind {
	case plan.ChildKill:
		return errors.Join(f.children(s, syscall.SIGKILL)...)
	case plan.ChildHang:
		defer func() { _ = errors.Join(f.children(plan.Step{}, syscall.SIGCONT)...) }()
		err := errors.Join(f.children(s, syscall.SIGSTOP)...)
		wait(ctx, s.Hold)
		return err
	case plan.RedisStop:
		return f.restart(ctx, stack.Redis, syscall.SIGTERM, s.Hold)
	case plan.RedisKill:
		return f.restart(ctx, stack.Redis, syscall.SIGKILL, s.Hold)
	case plan.RedisHang:
		return f.hang(ctx, stack.Redis, s.Hold)
	case plan.KeycloakStop:
		return f.restart(ctx, stack.Keycloak, syscall.SIGTERM, s.Hold)
	case plan.KeycloakHang:
		return f.hang(ctx, stack.Keycloak, s.Hold)
	case plan.KeycloakClock:
		return f.clock(ctx, s)
	case plan.NginxReload:
		return f.signal(stack.Nginx, syscall.SIGHUP, false)
	case plan.BridgeRestart:
		return f.restart(ctx, bridge, syscall.SIGTERM, 0)
	case plan.BridgeKill:
		return f.restart(ctx, bridge, syscall.SIGKILL, s.Hold)
	case plan.AuthsvcRestart:
		return f.restart(ctx, authsvc, syscall.SIGTERM, 0)
	case plan.AuthsvcKill:
		return f.restart(ctx, authsvc, syscall.SIGKILL, s.Hold)
	case plan.AuthsvcHang:
		return f.hang(ctx, authsvc, s.Hold)
	}
	return fmt.Errorf("%s is no fault of a part", s.Kind)
}

// CutFor is for how long after it began a fault may cut connections off: only
// what ends the program that holds them may, and after a reload of nginx its old
// workers end streams by worker_shutdown_timeout.
func CutFor(k plan.Kind) (time.Duration, bool) {
	switch k {
	case plan.BridgeKill, plan.BridgeRestart, plan.Logout: // what a login has open ends with it
		return 0, true
	case plan.NginxReload:
		return workersLeave, true
	}
	return 0, false
}

const (
	workersLeave = 75 * time.Second // 60 s of nginx.conf, and what a busy machine adds
	startTime    = 2 * time.Minute
	stopTime     = 20 * time.Second // drain-time and what a child may take
)

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// hang stops a part's whole group, and lets it go on.
func (f *Faults) hang(ctx context.Context, name string, hold time.Duration) error {
	if err := f.signal(name, syscall.SIGSTOP, true); err != nil {
		return err
	}
	wait(ctx, hold)
	return f.signal(name, syscall.SIGCONT, true)
}

// signal goes to a part's leader, or to its whole group.
func (f *Faults) signal(name string, sig syscall.Signal, group bool) error {
	to := f.Gate.Part(name).Pid()
	if to <= 0 { // kill(2): 0 would be our own group
		return fmt.Errorf("%s does not run", name)
	}
	if group {
		to = -to
	}
	if err := syscall.Kill(to, sig); err != nil {
		return fmt.Errorf("%s: %s: %w", name, sig, err)
	}
	return nil
}

// restart ends a part, waits, and starts it again.
func (f *Faults) restart(ctx context.Context, name string, with syscall.Signal, hold time.Duration) error {
	// A bridge that drains ends its children by itself: its leader alone is told.
	if err := f.signal(name, with, with == syscall.SIGKILL || name == stack.Keycloak); err != nil {
		return err
	}
	select {
	case <-f.Gate.Part(name).Done():
	case <-time.After(stopTime):
		return fmt.Errorf("%s has not ended %s after %s", name, stopTime, with)
	}
	wait(ctx, hold)
	starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTime)
	defer cancel()
	return f.Gate.StartPart(starting, name)
}

// children signals some children of the bridges, or all where the step names none.
func (f *Faults) children(s plan.Step, with syscall.Signal) (errs []error) {
	var all []int
	for _, part := range f.Gate.Parts() {
		for _, p := range f.Children(part) {
			all = append(all, p.PID)
		}
	}
	slices.Sort(all)
	few := len(all)
	if s.Few > 0 {
		few = min(s.Few, len(all))
	}
	for i := range few {
		pid := all[(s.Which%len(all)+i)%len(all)] // each once: who is stopped must go on
		if err := syscall.Kill(pid, with); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("child %d: %w", pid, err))
		}
	}
	return errs
}

// Children are the MCP servers that a part has running.
func (f *Faults) Children(part *stack.Part) (children []memory.Process) {
	if part.Pid() == 0 {
		return nil
	}
	for _, p := range memory.Below(part.Pid()) {
		if p.Exe == f.Child {
			children = append(children, p)
		}
	}
	return children
}

// clock moves Keycloak's clock, and puts it right again.
func (f *Faults) clock(ctx context.Context, s plan.Step) error {
	if err := setClock(f.Clock, s.Jump); err != nil {
		return err
	}
	wait(ctx, s.Hold)
	return setClock(f.Clock, 0)
}

// setClock writes what libfaketime reads.
func setClock(file string, jump time.Duration) error {
	next := file + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+.3f\n", jump.Seconds()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file) // read by others at any moment
}

// libraries is where Debian and its kin keep libfaketime.
const libraries = "/usr/lib/*/faketime/libfaketimeMT.so.1"

// Clock lets Keycloak's clock be moved: its environment, and the file that says
// by how much. The clocks of the
// others are the machine's: a program in Go reads it past the C library, and
// Redis' allocator deadlocks under libfaketime.
func Clock(dir string) (env []string, file string, err error) {
	found, err := filepath.Glob(libraries)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no %s: install Debian's package faketime", libraries)
	}
	if err != nil {
		return nil, "", err
	}
	file = filepath.Join(dir, "keycloak.clock")
	return []string{
		"LD_PRELOAD=" + found[0], "FAKETIME_TIMESTAMP_FILE=" + file, "FAKETIME_CACHE_DURATION=1",
		"FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1",
	}, file, setClock(file, 0)
}
