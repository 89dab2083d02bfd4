package child

import "os/exec"

// system is what each operating system does in its own way for one child and
// all that it starts: a group in system_linux.go, system_darwin.go and
// system_windows.go.
type system interface {
	prepare(cmd *exec.Cmd)       // before the start
	started(cmd *exec.Cmd) error // after it; with an error the child is killed
	terminate()                  // asks all of them to end
	kill()                       // ends them
	await()                      // returns when the child has ended; it is not reaped by that
	release()                    // when it was reaped
}

var _ system = (*group)(nil)
