package child

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// awaitExit returns when the process has ended; it is not reaped by that. A
// pidfd waits in the runtime's poller, so that no thread is held for a child:
// the runtime ends a program that needs more than 10,000 of them.
func awaitExit(pid int) {
	if fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK); err == nil {
		file := os.NewFile(uintptr(fd), "pidfd")
		defer file.Close() //nolint:errcheck // nothing was written
		conn, err := file.SyscallConn()
		if err == nil && conn.Read(func(uintptr) bool { return exited(pid) }) == nil {
			return
		}
	}
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// exited looks without waiting.
func exited(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	if errors.Is(err, unix.EINTR) {
		return exited(pid)
	}
	return err != nil || info.Signo != 0
}
