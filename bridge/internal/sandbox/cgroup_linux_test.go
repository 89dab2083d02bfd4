package sandbox

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// unified is where version 2 is mounted, alone or beside version 1, or skips.
func unified(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		ours, err := os.MkdirTemp(dir, "gatehouse-test-")
		if err != nil {
			t.Skip("control groups are not ours to make: ", err)
		}
		t.Cleanup(func() { _ = os.Remove(ours) })
		return ours
	}
	t.Skip("no control groups of version 2")
	return ""
}

// bare is an environment with next to nothing. A kernel that runs as a program may
// keep fewer registers than the processor has (test/cgroup): its programs are told.
func bare() []string {
	env := []string{"PATH=/usr/bin:/bin"}
	for _, name := range []string{"GODEBUG", "GLIBC_TUNABLES"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// TestGroupHoldsWhoeverLeaves: what a child started is in its group, also when
// it left the process group and its environment behind; and the group ends it.
func TestGroupHoldsWhoeverLeaves(t *testing.T) {
	groups := &groups{dir: unified(t)}
	host := &Host{opts: Options{Program: "/proc/self/exe"}, root: t.TempDir(), groups: groups}
	script := `setsid env -i sleep 600 & echo $!; wait`
	m, err := host.Maker("test", Spec{}, Command{Argv: []string{"/bin/sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	box, err := m.Open("")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.Env = bare()
	if err := box.Enter(cmd); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 32)
	if n, err := out.Read(buf); err != nil || n < 2 {
		t.Fatalf("%q, %v", buf, err)
	}
	dir := box.group.path()
	if in, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err != nil || len(strings.Fields(string(in))) < 2 {
		t.Errorf("in the group: %q, %v", in, err)
	}
	box.Kill()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended by %v", err)
	}
	if why := box.Ended(); why != "" {
		t.Errorf("it ended for %q", why)
	}
	host.cleaning.Wait()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the group is left: %v", err)
	}
}

// TestWhatAGroupSays: what is written into a group's files, and what is read from
// them. The kernel's own files are in the tests above.
func TestWhatAGroupSays(t *testing.T) {
	limits := Limits{Memory: 512 << 20, Tasks: 64, CPU: 0.5}
	want := map[string]string{
		"memory.max": "536870912", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "64", "cpu.max": "50000 100000",
	}
	if got := limits.files(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	g := &group{dir: t.TempDir()}
	for events, want := range map[string]string{
		"low 0\noom 0\noom_kill 0\n": "",
		"oom 1\noom_kill 1\n":        "it was killed, for it needed more than the 512 MiB of memory that it may have",
	} {
		if err := os.WriteFile(filepath.Join(g.dir, "memory.events"), []byte(events), 0o600); err != nil {
			t.Fatal(err)
		}
		if why := g.why(limits); why != want {
			t.Errorf("%q, want %q", why, want)
		}
	}
}
