package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// handedDown are the groups of a test that runs where a control group was
// delegated to it with all controllers, as `make cgroup-test` runs it.
func handedDown(t *testing.T) *groups {
	t.Helper()
	g, err := openGroups()
	if errors.Is(err, errNotDelegated) && os.Getenv("GATEHOUSE_CGROUP") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(g.dir, "cgroup.subtree_control"))
	for _, c := range controllers() {
		if err != nil || !strings.Contains(string(raw), c) {
			t.Fatalf("handed down are %q, %v; want %s among them", raw, err, c)
		}
	}
	return g
}

// inGroup is a shell's line that runs in a group from its first program on.
func inGroup(t *testing.T, g *group, line string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "/bin/sh", "-c", "echo 0 >"+g.path()+"/cgroup.procs && "+line)
}

// count is one number of a file of the group's.
func count(t *testing.T, g *group, file, name string) (n int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.path(), file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if _, err := fmt.Sscanf(line, name+" %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("%s has no %s: %s", file, name, raw)
	return 0
}

func members(t *testing.T, g *group) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.path(), "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(raw))
}

// A child that needs more memory than it may have is ended, with all that it
// started, and that is what its caller is told. The one beside it goes on.
func TestGroupBoundsMemory(t *testing.T) {
	groups := handedDown(t)
	host := &Host{opts: Options{Program: "/proc/self/exe"}, root: t.TempDir(), groups: groups}
	argv := []string{"/bin/sh", "-c", "sleep 600 & exec tail /dev/zero"}
	m, err := host.Maker("test", Spec{Limits: Limits{Memory: 64 << 20}}, Command{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	box, err := m.Open("")
	if err != nil {
		t.Fatal(err)
	}
	other, err := groups.open(Limits{Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	calm := inGroup(t, other, "exec sleep 600")
	if err := calm.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = bare()
	if err := box.Enter(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err == nil {
		t.Error("it lives with all of the memory")
	}
	for began := time.Now(); len(members(t, box.group)) > 0; <-time.After(20 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("of its group are left %q", members(t, box.group))
		}
	}
	if why := box.Ended(); !strings.Contains(why, "64 MiB") {
		t.Errorf("its caller is told %q", why)
	}
	if err := calm.Process.Kill(); err != nil {
		t.Errorf("the one beside it: %v", err)
	}
	_ = calm.Wait()
	host.cleaning.Wait()
}

// A child starts no more processes than it may have.
func TestGroupBoundsTasks(t *testing.T) {
	const most = 8
	g, err := handedDown(t).open(Limits{Tasks: most})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := inGroup(t, g, "for n in $(seq 50); do sleep 600 & done").Run(); err == nil {
		t.Error("fifty were started")
	}
	if n := len(members(t, g)); n == 0 || n > most {
		t.Errorf("%d run, want 1 to %d", n, most)
	}
	if count(t, g, "pids.events", "max") == 0 {
		t.Error("the kernel refused none")
	}
}

// A child that computes without end has its part of a processor.
func TestGroupBoundsCPU(t *testing.T) {
	g, err := handedDown(t).open(Limits{CPU: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	cmd := inGroup(t, g, "while :; do :; done")
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for count(t, g, "cpu.stat", "nr_throttled") < 10 {
		if time.Since(began) > time.Minute {
			t.Fatal("it is not held back in a minute")
		}
		<-time.After(50 * time.Millisecond)
	}
	used, took := time.Duration(count(t, g, "cpu.stat", "usage_usec"))*time.Microsecond, time.Since(began)
	if used > took/3 {
		t.Errorf("it used %s of %s, and may have a tenth", used, took)
	}
	g.kill()
	_ = cmd.Wait()
}
