package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groups are the control groups (version 2) of the children, where the bridge's
// own was delegated to it: systemd's Delegate=, or a container that owns its
// group. nil makes none.
type groups struct{ dir string }

const ownGroup = "bridge" // where the bridge itself goes: a group with children may hold no process

var errNotDelegated = errors.New("no control group (version 2) is delegated to the bridge; " +
	"files, their size and core dumps are bounded nevertheless")

func openGroups() (*groups, error) {
	const mounted = "/sys/fs/cgroup"
	var fs unix.Statfs_t
	if err := unix.Statfs(mounted, &fs); err != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return nil, errNotDelegated
	}
	own, err := ownPath()
	if err != nil {
		return nil, err
	}
	return delegated(filepath.Join(mounted, own))
}

func ownPath() (string, error) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(raw) {
		if path, ours := strings.CutPrefix(strings.TrimSpace(string(line)), "0::"); ours {
			return path, nil
		}
	}
	return "", errNotDelegated
}

// controllers are what the groups are for.
func controllers() []string { return []string{"memory", "pids", "cpu"} }

// delegated makes a group of ours ready for those of children: whoever is in it
// goes into a leaf of its own, and the controllers are handed down. A group
// that others share is left as it was.
func delegated(dir string) (*groups, error) {
	if filepath.Base(dir) == ownGroup { // systemd's DelegateSubgroup= was before us
		dir = filepath.Dir(dir)
	}
	if unix.Access(filepath.Join(dir, "cgroup.subtree_control"), unix.W_OK) != nil {
		return nil, errNotDelegated
	}
	leaf := filepath.Join(dir, ownGroup)
	if err := os.Mkdir(leaf, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, errNotDelegated
	}
	moved := moveOurs(dir, leaf)
	handed := 0
	for _, c := range controllers() {
		if write(dir, "cgroup.subtree_control", "+"+c) == nil {
			handed++
		}
	}
	if handed == 0 {
		for _, pid := range moved {
			_ = write(dir, "cgroup.procs", pid)
		}
		_ = os.Remove(leaf)
		return nil, errNotDelegated
	}
	return &groups{dir: dir}, nil
}

// moveOurs moves this process and what it has started.
func moveOurs(from, to string) (moved []string) {
	raw, err := os.ReadFile(filepath.Join(from, "cgroup.procs"))
	if err != nil {
		return nil
	}
	own := strconv.Itoa(os.Getpid())
	for _, pid := range strings.Fields(string(raw)) {
		if (pid == own || parent(pid) == own) && write(to, "cgroup.procs", pid) == nil {
			moved = append(moved, pid)
		}
	}
	return moved
}

func parent(pid string) string {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may hold anything
	if fields := strings.Fields(rest); len(fields) > 1 {
		return fields[1]
	}
	return ""
}

// write fails with os.ErrNotExist for a file that is not there: the kernel
// allows none to be made.
func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// group is that of one child; nil is none.
type group struct{ dir string }

const cpuPeriod = 100000 // µs, the kernel's own

// open makes a group with the limits. A controller that was not handed down
// bounds nothing: its file is not there.
func (g *groups) open(l Limits) (*group, error) {
	if g == nil {
		return nil, nil //nolint:nilnil // no group is a group without bounds
	}
	dir, err := os.MkdirTemp(g.dir, "child-")
	if err != nil {
		return nil, err
	}
	for file, value := range l.files() {
		if err := write(dir, file, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(dir)
			return nil, err
		}
	}
	return &group{dir: dir}, nil
}

// files are those of a group, and what stands in them.
func (l Limits) files() map[string]string {
	values := map[string]string{"memory.oom.group": "1"}
	if l.Memory > 0 {
		values["memory.max"], values["memory.swap.max"] = strconv.FormatInt(l.Memory, 10), "0"
	}
	if l.Tasks > 0 {
		values["pids.max"] = strconv.Itoa(l.Tasks)
	}
	if l.CPU > 0 {
		values["cpu.max"] = fmt.Sprintf("%d %d", int64(l.CPU*cpuPeriod), cpuPeriod)
	}
	return values
}

// close gives back what delegated took; the bridge stays in its leaf.
func (g *groups) close() {}

func (g *group) path() string {
	if g == nil {
		return ""
	}
	return g.dir
}

// kill ends all of the group: also who left the process group.
func (g *group) kill() {
	if g != nil {
		_ = write(g.dir, "cgroup.kill", "1")
	}
}

// why tells of a bound at which the kernel ended the child.
func (g *group) why(l Limits) string {
	if g == nil || l.Memory == 0 {
		return ""
	}
	raw, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(raw) {
		name, count, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if name == "oom_kill" && count != "0" {
			return fmt.Sprintf("it was killed, for it needed more than the %d MiB of memory that it may have", l.Memory>>20)
		}
	}
	return ""
}

// close ends what is left and removes the group, which is possible once the
// last of them is gone.
func (g *group) close() {
	if g == nil {
		return
	}
	g.kill()
	for range 200 { // nobody tells when a group is empty that is about to go
		if err := os.Remove(g.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
