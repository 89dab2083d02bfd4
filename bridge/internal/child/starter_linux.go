package child

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// run starts every child from one thread that lives as long as the starter:
// Linux sends Pdeathsig when the thread that forked ends, not the process
// (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends threads at will. It
// never unlocks its thread, which therefore ends with it; but the first thread
// of a process never ends, so that one is held until another is found.
func (s *Starter) run() {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		elsewhere := make(chan struct{})
		go func() { close(elsewhere); s.run() }()
		<-elsewhere
		runtime.UnlockOSThread()
		return
	}
	s.serve()
}
