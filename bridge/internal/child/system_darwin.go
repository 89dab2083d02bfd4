package child

import (
	"errors"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// group is a process group. macOS has no signal at the death of a parent: a
// child of a bridge that was killed sees the end of its input, and no more.
type group struct{ pid int }

func (g *group) prepare(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func (g *group) started(cmd *exec.Cmd) error {
	g.pid = cmd.Process.Pid
	return nil
}

func (g *group) terminate() { _ = syscall.Kill(-g.pid, syscall.SIGTERM) }
func (g *group) kill()      { _ = syscall.Kill(-g.pid, syscall.SIGKILL) }
func (g *group) release()   {}

const retry = time.Second

// await asks kqueue, which holds a thread for each child: Capacity is bounded
// accordingly. Where no descriptor is left it tries again.
func (g *group) await() {
	for {
		queue, err := unix.Kqueue()
		if err != nil {
			time.Sleep(retry)
			continue
		}
		exit := unix.Kevent_t{Filter: unix.EVFILT_PROC, Flags: unix.EV_ADD | unix.EV_ONESHOT, Fflags: unix.NOTE_EXIT}
		unix.SetKevent(&exit, g.pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			_, err = unix.Kevent(queue, []unix.Kevent_t{exit}, make([]unix.Kevent_t, 1), nil)
		}
		_ = unix.Close(queue)
		return // ended now, or before it could be asked about (ESRCH)
	}
}
