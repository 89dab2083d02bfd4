package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitUnboxed says that the box could not be made, so nothing was started.
const exitUnboxed = 125

func init() { //nolint:gochecknoinits // doc.go says why
	if len(os.Args) < 2 || os.Args[1] != Command {
		return
	}
	described, ours := os.LookupEnv(Variable)
	if !ours {
		return
	}
	err := become(described, os.Args[2:])
	fmt.Fprintf(os.Stderr, "bridge: the server is not started: %v\n", err)
	os.Exit(exitUnboxed)
}

// become returns only where that failed. args are the path of the child's
// program and its arguments, of which the first is its name.
func become(described string, args []string) error {
	runtime.LockOSThread() // what follows holds for the thread that becomes the child
	if len(args) < 2 {
		return errors.New("no command")
	}
	var d Description
	if err := json.Unmarshal([]byte(described), &d); err != nil {
		return fmt.Errorf("the box is not described: %w", err)
	}
	if err := os.Unsetenv(Variable); err != nil {
		return err
	}
	for _, step := range []func() error{d.join, setLimits, d.restrict, dropCapabilities, CloseFiles, d.filter} {
		if err := step(); err != nil {
			return err
		}
	}
	//nolint:gosec // to run the command that an operator configured is what this is for
	err := syscall.Exec(args[0], args[1:], os.Environ())
	return fmt.Errorf("%s: %w", args[0], err)
}

// join is before anything of the child's has run, so nothing of it is left
// outside.
func (d *Description) join() error {
	if d.Group == "" {
		return nil
	}
	group, err := os.OpenFile(filepath.Join(d.Group, "cgroup.procs"), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	defer group.Close() //nolint:errcheck // the write tells
	if _, err := group.WriteString("0"); err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	return nil
}

// What one process of a child may have, where no control group says it better.
const (
	maxFiles    = 4096
	maxFileSize = 4 << 30
)

// setLimits uses package syscall for the files: it then knows that the limit
// which it raised for this program is not to be put back at the exec.
func setLimits() error {
	for _, l := range []struct {
		which int
		most  uint64
	}{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_FSIZE, maxFileSize}, {unix.RLIMIT_NOFILE, maxFiles}} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.which, &now); err != nil {
			return fmt.Errorf("limit %d: %w", l.which, err)
		}
		now.Max = min(now.Max, l.most)
		now.Cur = min(now.Cur, now.Max)
		if err := syscall.Setrlimit(l.which, &now); err != nil {
			return fmt.Errorf("limit %d: %w", l.which, err)
		}
	}
	return nil
}

// dropCapabilities leaves none, so that root in a box is a user as others are.
func dropCapabilities() error {
	for c := range uintptr(unix.CAP_LAST_CAP + 1) {
		if unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) != nil {
			break // only root may; who may not has nothing to drop
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none, have [2]unix.CapUserData
	err := unix.Capset(&header, &none[0])
	if err == nil {
		return nil
	}
	// A service manager's filter may refuse even that, where there is nothing to drop.
	if unix.Capget(&header, &have[0]) == nil && have == none {
		return nil
	}
	return fmt.Errorf("capabilities: %w", err)
}

// CloseFiles lets nothing but the three pipes go to what is started, whatever
// this process was started with.
func CloseFiles() error {
	const first = 3
	if unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd") // before Linux 5.11, or where a filter refuses it
	if err != nil {
		return err
	}
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
