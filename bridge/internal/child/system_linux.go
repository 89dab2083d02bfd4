package child

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is a process group, whose leader dies with the bridge.
type group struct{ pid int }

func (g *group) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func (g *group) started(cmd *exec.Cmd) error {
	g.pid = cmd.Process.Pid
	return nil
}

func (g *group) terminate() { _ = syscall.Kill(-g.pid, syscall.SIGTERM) }
func (g *group) kill()      { _ = syscall.Kill(-g.pid, syscall.SIGKILL) }
func (g *group) release()   {}

// await lets a pidfd wait in the runtime's poller, so that no thread is held
// for a child: the runtime ends a program that needs more than 10,000 of them.
func (g *group) await() {
	if fd, err := unix.PidfdOpen(g.pid, unix.PIDFD_NONBLOCK); err == nil {
		file := os.NewFile(uintptr(fd), "pidfd")
		defer file.Close() //nolint:errcheck // nothing was written
		conn, err := file.SyscallConn()
		if err == nil && conn.Read(func(uintptr) bool { return exited(g.pid) }) == nil {
			return
		}
	}
	for errors.Is(unix.Waitid(unix.P_PID, g.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
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
