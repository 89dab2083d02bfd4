package child

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a child takes of the machine, at least: its pipes and its pidfd, the
// threads of a small runtime, the memory of a small interpreter.
const (
	filesEach   = 6
	filesOurs   = 256 // listeners, connections to others, files
	tasksEach   = 2
	memoryEach  = 8 << 20
	minCapacity = 8
)

// Capacity is how many children this machine can carry, by the limits of this
// process (RLIMIT_NOFILE, RLIMIT_NPROC) and of its control group (tasks and
// memory), and by the machine's memory. A quarter of each is left to others.
func Capacity() int {
	least := uint64(math.MaxInt32)
	bound := func(have, ours, each uint64) {
		have -= have / 4
		least = min(least, (have-min(have, ours))/each)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < math.MaxInt32 {
		bound(limit.Cur, filesOurs, filesEach)
	}
	if os.Getuid() != 0 && unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil && limit.Cur < math.MaxInt32 {
		bound(limit.Cur, 0, tasksEach) // root has no such limit
	}
	for _, dir := range groupDirs() {
		if n, ok := readNumber(filepath.Join(dir, "pids.max")); ok {
			bound(n, 0, tasksEach)
		}
		if n, ok := readNumber(filepath.Join(dir, "memory.max")); ok {
			bound(n, 0, memoryEach)
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		bound(uint64(info.Totalram)*uint64(info.Unit), 0, memoryEach) //nolint:unconvert // 32 bits on some machines
	}
	return int(max(least, minCapacity))
}

// memoryLeft reports whether an eighth of the memory is left, of the machine and
// of each control group.
func memoryLeft() bool {
	for _, dir := range groupDirs() {
		most, bounded := readNumber(filepath.Join(dir, "memory.max"))
		used, known := readNumber(filepath.Join(dir, "memory.current"))
		if bounded && known && used > most-most/8 {
			return false
		}
	}
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return true
	}
	total, left := readKB(raw, "MemTotal:"), readKB(raw, "MemAvailable:")
	return left >= total/8
}

// readKB is a line of /proc/meminfo; 0 where it is not there.
func readKB(raw []byte, name string) uint64 {
	for line := range bytes.Lines(raw) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")), 10, 64)
			return n
		}
	}
	return 0
}

// groupDirs are the control groups (version 2) that this process is in, from
// its own to the root.
func groupDirs() (dirs []string) {
	const root = "/sys/fs/cgroup"
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(raw) {
		path, ours := strings.CutPrefix(strings.TrimSpace(string(line)), "0::")
		if !ours {
			continue
		}
		for path = filepath.Clean(path); ; path = filepath.Dir(path) {
			dirs = append(dirs, filepath.Join(root, path))
			if path == "/" || path == "." {
				return dirs
			}
		}
	}
	return nil
}

// readNumber reads one number; the word "max" is none.
func readNumber(file string) (uint64, bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	return n, err == nil
}
