//go:build linux

package hostile

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// attempt is one try of a child at what is not its own.
type attempt struct {
	name  string
	works bool // without the box: there it must get something
	try   func(*target) (string, error)
}

var attempts = []attempt{
	{"environment of another user's child", true, func(t *target) (string, error) {
		return read(proc(t.Victim.PID, "environ"))
	}},
	{"its memory", false, func(t *target) (string, error) { return read(proc(t.Victim.PID, "mem")) }},
	{"its memory by process_vm_readv", false, vmRead},
	{"its map of memory", false, func(t *target) (string, error) { return read(proc(t.Victim.PID, "maps")) }},
	{"its open files", true, func(t *target) (string, error) { return link(proc(t.Victim.PID, "fd/0")) }},
	{"its open files by pidfd_getfd", false, stealFile},
	{"ptrace of it", false, trace},
	{"a signal to it", true, func(t *target) (string, error) { return "sent", unix.Kill(t.Victim.PID, 0) }},
	{"a signal to the bridge", true, func(t *target) (string, error) { return "sent", unix.Kill(t.Victim.Bridge, 0) }},
	{"a signal to its group", true, func(t *target) (string, error) { return "sent", unix.Kill(-t.Victim.PID, 0) }},
	{"the limits of the bridge", true, func(t *target) (string, error) {
		var now unix.Rlimit
		return "set", unix.Prlimit(t.Victim.Bridge, unix.RLIMIT_CORE, nil, &now)
	}},
	{"the priority of the bridge", true, func(t *target) (string, error) {
		return "set", unix.Setpriority(unix.PRIO_PROCESS, t.Victim.Bridge, 0)
	}},
	{"the processors of another user's child", true, func(t *target) (string, error) {
		var now unix.CPUSet
		if err := unix.SchedGetaffinity(t.Victim.PID, &now); err != nil {
			return "", err
		}
		return "set", unix.SchedSetaffinity(t.Victim.PID, &now)
	}},
	{"its scheduler", true, func(t *target) (string, error) {
		var priority [4]byte
		return "set", turn(unix.SYS_SCHED_SETSCHEDULER, t.Victim.PID, unix.SCHED_NORMAL, uintptr(pointer(&priority[0])))
	}},
	{"its parameters of scheduling", true, func(t *target) (string, error) {
		var priority [4]byte
		return "set", turn(unix.SYS_SCHED_SETPARAM, t.Victim.PID, uintptr(pointer(&priority[0])), 0)
	}},
	{"its attributes of scheduling", true, func(t *target) (string, error) {
		now, err := unix.SchedGetAttr(t.Victim.PID, 0)
		if err != nil {
			return "", err
		}
		return "set", unix.SchedSetAttr(t.Victim.PID, now, 0)
	}},
	{"its place in the queue of the disks", true, func(t *target) (string, error) {
		const whoProcess, bestEffort = 1, 2<<13 | 4
		return "set", turn(unix.SYS_IOPRIO_SET, whoProcess, uintptr(t.Victim.PID), bestEffort)
	}},
	{"a file in another child's home", true, func(t *target) (string, error) {
		return read(filepath.Join(t.Victim.Home, secretFile))
	}},
	{"a file in its folder for temporary files", true, func(t *target) (string, error) {
		return read(filepath.Join(t.Victim.Tmp, secretFile))
	}},
	{"a file put there before it makes one (a race in /tmp)", true, func(t *target) (string, error) {
		return write(filepath.Join(t.Victim.Tmp, "predictable"))
	}},
	{"a link put into /tmp", false, func(*target) (string, error) {
		link := filepath.Join("/tmp", fmt.Sprintf("gatehouse-hostile-%d", os.Getpid()))
		defer os.Remove(link) //nolint:errcheck // where it was made
		return "made", cause(os.Symlink("/etc/passwd", link))
	}},
	{"a program in another user's downloads", false, func(t *target) (string, error) {
		return write(filepath.Join(t.Victim.Cache, "planted"))
	}},
	{"the folders of all children", false, func(t *target) (string, error) { return list(parent(t.Victim.Home)) }},
	{"the server's own program", false, func(*target) (string, error) {
		own, err := os.Executable()
		if err != nil {
			return "", err
		}
		return write(filepath.Join(filepath.Dir(own), "planted"))
	}},
	{"the bridge's environment", true, func(t *target) (string, error) { return read(proc(t.Victim.Bridge, "environ")) }},
	{"the bridge's memory", false, func(t *target) (string, error) { return read(proc(t.Victim.Bridge, "mem")) }},
	{"the bridge's open files", true, func(t *target) (string, error) { return link(proc(t.Victim.Bridge, "fd/3")) }},
	{leftOpen, false, inherited},
	{"the bridge's file of tokens", true, func(t *target) (string, error) { return read(t.Config) }},
	{"systemd's credentials of the bridge", true, func(t *target) (string, error) { return read(t.Credentials) }},
	{"where they are, from the environment", false, func(*target) (string, error) {
		if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
			return dir, nil
		}
		return "", errors.New("not told")
	}},
	{"a TCP service of this machine", true, func(t *target) (string, error) {
		return dial(t.Service, unix.IPPROTO_TCP, 0)
	}},
	{"the same by Multipath TCP", false, func(t *target) (string, error) {
		return dial(t.Service, unix.IPPROTO_MPTCP, 0)
	}},
	{"the same by TCP Fast Open", false, func(t *target) (string, error) {
		return dial(t.Service, unix.IPPROTO_TCP, unix.MSG_FASTOPEN)
	}},
	{"a service's socket by its path", true, func(t *target) (string, error) { return unixSocket(t.Socket) }},
	{"an abstract socket of another child", false, func(t *target) (string, error) {
		return unixSocket(t.Victim.Abstract)
	}},
	{"the port of a service, before it", true, func(t *target) (string, error) {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", t.Free))
		if err != nil {
			return "", cause(err)
		}
		return "bound", l.Close()
	}},
	{"a cloud's metadata address", false, func(*target) (string, error) {
		c, err := net.DialTimeout("tcp4", "169.254.169.254:80", time.Second)
		if err != nil {
			return "", cause(err)
		}
		return "connected", c.Close()
	}},
	{"memory of System V of another child", false, func(t *target) (string, error) {
		if t.Victim.Shared < 0 {
			return "", errors.New("it can make none")
		}
		b, err := unix.SysvShmAttach(t.Victim.Shared, 0, 0)
		return fmt.Sprintf("%d bytes", len(b)), err
	}},
	{"the user's keys in the kernel", false, func(*target) (string, error) {
		id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
		return fmt.Sprint(id), err
	}},
	{"an io_uring, which does calls in another's place", false, func(*target) (string, error) {
		var params [128]byte
		fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(pointer(&params[0])), 0)
		if errno != 0 {
			return "", errno
		}
		return "made", unix.Close(int(fd))
	}},
	{"a terminal", false, func(*target) (string, error) {
		f, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
		if err != nil {
			return "", cause(err)
		}
		return "opened", f.Close()
	}},
	{"more rights by a program that has them", false, privileges},
	{"a dump of its own core", false, func(*target) (string, error) {
		var now unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &now); err != nil {
			return "", err
		}
		if now.Max == 0 {
			return "", errors.New("limited to 0 bytes")
		}
		return fmt.Sprintf("up to %d bytes", now.Max), nil
	}},
}

func turn(number uintptr, first int, second, third uintptr) error {
	if _, _, errno := unix.Syscall(number, uintptr(first), second, third); errno != 0 {
		return errno
	}
	return nil
}

func vmRead(t *target) (string, error) {
	buf := make([]byte, 8)
	local := []unix.Iovec{{Base: &buf[0], Len: 8}}
	n, err := unix.ProcessVMReadv(t.Victim.PID, local, []unix.RemoteIovec{{Base: anAddress(t.Victim.PID), Len: 8}}, 0)
	return fmt.Sprintf("%d bytes", n), err
}

// anAddress is where the program's text begins, if the map can be read.
func anAddress(pid int) (at uintptr) {
	raw, err := os.ReadFile(proc(pid, "maps"))
	if err == nil {
		_, _ = fmt.Sscanf(string(raw), "%x-", &at)
	}
	return at
}

func stealFile(t *target) (string, error) {
	fd, err := unix.PidfdOpen(t.Victim.PID, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	stolen, err := unix.PidfdGetfd(fd, 0, 0)
	if err != nil {
		return "", err
	}
	return "its input", unix.Close(stolen)
}

func trace(t *target) (string, error) {
	return "seized", unix.PtraceSeize(t.Victim.PID) // which ends with this process
}

const leftOpen = "a descriptor that the bridge left open"

func inherited(*target) (string, error) {
	for fd := 3; fd < 1024; fd++ {
		link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 { // this program's own are marked
			return link, nil
		}
	}
	return "", errors.New("none")
}

func dial(port, protocol, flags int) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	to := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if flags != 0 {
		return "sent", unix.Sendto(fd, []byte("x"), flags, to)
	}
	return "connected", unix.Connect(fd, to)
}

func unixSocket(path string) (string, error) {
	if path == "" {
		return "", errors.New("it can make none")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return "", cause(err)
	}
	return "connected", c.Close()
}

func privileges(*target) (string, error) {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return "", err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return "", err
	}
	if set == 1 && have[0].Permitted == 0 && have[1].Permitted == 0 {
		return "", errors.New("it has none, and gets none")
	}
	return fmt.Sprintf("no_new_privs %d, capabilities %x", set, have[0].Permitted), nil
}
