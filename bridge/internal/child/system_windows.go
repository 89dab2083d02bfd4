package child

import (
	"fmt"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a job object. Windows ends all that are in it when its last handle
// is closed, so also when the bridge is killed.
type group struct {
	job, process windows.Handle
	pid          int
}

func (g *group) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

func (g *group) started(cmd *exec.Cmd) (err error) {
	g.pid = cmd.Process.Pid
	const rights = windows.SYNCHRONIZE | windows.PROCESS_SET_QUOTA | windows.PROCESS_TERMINATE
	if g.process, err = windows.OpenProcess(rights, false, uint32(g.pid)); err != nil {
		return fmt.Errorf("open the process: %w", err)
	}
	if g.job, err = windows.CreateJobObject(nil, nil); err != nil {
		return fmt.Errorf("job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
		},
	}
	if _, err = windows.SetInformationJobObject(g.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return fmt.Errorf("job object: %w", err)
	}
	if err = windows.AssignProcessToJobObject(g.job, g.process); err != nil {
		return fmt.Errorf("job object: %w", err)
	}
	return nil
}

// terminate is Ctrl-Break, for there is no SIGTERM: a program without a console
// does not hear it, and is ended by kill.
func (g *group) terminate() {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(g.pid))
}

func (g *group) kill() { _ = windows.TerminateJobObject(g.job, 1) }

// await holds a thread for each child: Capacity is bounded accordingly.
func (g *group) await() { _, _ = windows.WaitForSingleObject(g.process, windows.INFINITE) }

func (g *group) release() {
	for _, h := range []windows.Handle{g.process, g.job} {
		if h != 0 {
			_ = windows.CloseHandle(h)
		}
	}
}
