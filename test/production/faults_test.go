//go:build production

package production

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	bridgeUnit = "gatehouse-bridge@main"
	authUnit   = "gatehouse-authsvc"
)

// load calls without a pause from four sessions until stopped, each opening a
// new one where its own is gone, as clients do.
type load struct {
	good, bad atomic.Int64
	last      atomic.Int64 // when a call was last good, in Unix milliseconds
	stop      func()
}

func (s *story) load(t *testing.T, key string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{}
	var all sync.WaitGroup
	l.stop = func() { cancel(); all.Wait() }
	t.Cleanup(l.stop)
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				open, err := session(ctx, s.web, key, "/mcp")
				for err == nil && ctx.Err() == nil {
					if _, err = callIn(ctx, open, "add", map[string]any{"a": 2, "b": 3}); err == nil {
						l.good.Add(1)
						l.last.Store(time.Now().UnixMilli())
						time.Sleep(time.Second) // within the user's rate
					}
				}
				if err != nil && ctx.Err() == nil {
					l.bad.Add(1)
					time.Sleep(time.Second) // below the address's rate
				}
				if open != nil {
					_ = open.Close()
				}
			}
		})
	}
	until(t, "the load is under way", func() bool { return l.good.Load() >= 8 })
	return l
}

// resumes waits until calls are good after now, and says how long it took from
// the restart's beginning, and how many failed.
func (l *load) resumes(t *testing.T, what string, began time.Time, bad int64) {
	t.Helper()
	now := time.Now()
	until(t, what+": calls go on", func() bool { return l.last.Load() > now.UnixMilli() })
	good := l.good.Load()
	until(t, what+": all four go on", func() bool { return l.good.Load() > good+8 })
	took := time.UnixMilli(l.last.Load()).Sub(began).Round(time.Millisecond)
	t.Logf("%s: all calls good again after %v, %d failed", what, took, l.bad.Load()-bad)
}

func (s *story) restart(t *testing.T) {
	l := s.load(t, token(t, s.alice, s.web))
	for _, unit := range []string{bridgeUnit, authUnit, "nginx", "redis-server"} {
		began, bad := time.Now(), l.bad.Load()
		s.run(t, "systemctl", "restart", unit)
		l.resumes(t, "systemctl restart "+unit, began, bad)
	}
	l.stop()
	for _, unit := range []string{bridgeUnit, authUnit} {
		if result := s.property(t, unit, "Result"); result != "success" {
			t.Errorf("%s: the restart's result is %s", unit, result)
		}
	}
}

func (s *story) watchdog(t *testing.T) {
	for _, unit := range []string{bridgeUnit, authUnit} {
		if every := s.property(t, unit, "WatchdogUSec"); every != "30s" {
			t.Errorf("%s: watchdog %s, want 30s", unit, every)
		}
		dropin := "/run/systemd/system/" + unit + ".service.d"
		s.run(t, "sh", "-c", "mkdir -p '"+dropin+"' && printf '[Service]\\nWatchdogSec=2\\n' >'"+dropin+"/watchdog.conf'"+
			" && systemctl daemon-reload && systemctl restart "+unit)
		before := s.property(t, unit, "MainPID")
		s.run(t, "kill", "-STOP", before)
		until(t, unit+" is started again", func() bool {
			now := s.property(t, unit, "MainPID")
			return now != before && now != "0" && s.property(t, unit, "ActiveState") == "active"
		})
		s.run(t, "sh", "-c", "rm -r '"+dropin+"' && systemctl daemon-reload && systemctl restart "+unit)
	}
	key := token(t, s.alice, s.web)
	until(t, "calls go on", func() bool {
		_, err := call(t.Context(), s.web, key, "/mcp", "add", map[string]any{"a": 2, "b": 3})
		return err == nil
	})
}

// outOfMemory: one child of two is killed by the kernel for memory; the other
// one's session goes on, and so does the bridge.
func (s *story) outOfMemory(t *testing.T) {
	if policy := s.property(t, bridgeUnit, "OOMPolicy"); policy != "continue" {
		t.Errorf("OOMPolicy is %s", policy)
	}
	key := token(t, s.alice, s.web)
	before := s.children(t)
	small, err := sessionOf(t.Context(), s.web, key, "/mcp", elder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = small.Close() }()
	if _, err := callIn(t.Context(), small, "add", map[string]any{"a": 1, "b": 1}); err != nil {
		t.Fatal(err)
	}
	var victim string
	for pid := range s.children(t) {
		if !before[pid] {
			victim = pid
		}
	}
	if victim == "" {
		t.Fatal("the session has no child")
	}
	well, err := sessionOf(t.Context(), s.web, key, "/mcp", elder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = well.Close() }()
	main := s.property(t, bridgeUnit, "MainPID")
	kills := confine(t, victim, "1M")
	big := strings.Repeat("x", 3<<20)
	if _, err := callIn(t.Context(), small, "add", map[string]any{"a": 1, "b": 1, "more": big}); err == nil {
		t.Error("a call of 3 MB was good in 1 MB of memory")
	}
	if n := kills(); n == 0 {
		t.Error("the kernel killed nothing")
	}
	if got, err := callIn(t.Context(), well, "add", map[string]any{"a": 2, "b": 3}); err != nil || got != "5" {
		t.Errorf("the other session: %q, %v", got, err)
	}
	if now := s.property(t, bridgeUnit, "MainPID"); now != main {
		t.Errorf("the bridge was started again: %s, before %s", now, main)
	}
}

// children are the demo servers of the box, by their process numbers out here.
func (s *story) children(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	inside, err := os.Readlink("/proc/" + s.pid + "/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		pid := strings.Split(link, "/")[2]
		exe, err := os.Readlink(link)
		ns, _ := os.Readlink("/proc/" + pid + "/ns/pid")
		if err == nil && ns == inside && strings.HasSuffix(exe, "/gatehouse/demo") {
			found[pid] = true
		}
	}
	return found
}

// confine puts a process into a cgroup of its own with a limit for memory; the
// result counts what the kernel killed there.
func confine(t *testing.T, pid, limit string) func() int {
	t.Helper()
	group, file, events := "/sys/fs/cgroup/memory/gatehouse-production", "memory.limit_in_bytes", "memory.oom_control"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		group, file, events = "/sys/fs/cgroup/gatehouse-production-memory", "memory.max", "memory.events"
	}
	if err := os.Mkdir(group, 0o755); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Rmdir(group) })
	for _, set := range [][2]string{{file, limit}, {"cgroup.procs", pid}} {
		if err := os.WriteFile(filepath.Join(group, set[0]), []byte(set[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func() int {
		text, _ := os.ReadFile(filepath.Join(group, events))
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok && n != "0" {
				return 1
			}
		}
		return 0
	}
}
