package child

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const lowest = 19 // the nice value of who takes what others leave

// mayRaise finds out whether this program may take back a lower priority: with
// RLIMIT_NICE or CAP_SYS_NICE (setpriority(2)). It tries that with a thread that
// then ends.
var mayRaise = sync.OnceValue(func() bool {
	found := make(chan bool)
	go tryPriority(found)
	return <-found
})

func tryPriority(found chan<- bool) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if unix.Gettid() == os.Getpid() {
		elsewhere := make(chan struct{})
		go func() { close(elsewhere); tryPriority(found) }() // on another: the first thread never ends
		<-elsewhere
		runtime.UnlockOSThread()
		return
	}
	own := niceOf(0)
	found <- own < lowest && unix.Setpriority(unix.PRIO_PROCESS, 0, lowest) == nil &&
		unix.Setpriority(unix.PRIO_PROCESS, 0, own) == nil
}

// niceOf is the nice value of a process; the system call tells 20 minus it.
func niceOf(pid int) int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		return lowest
	}
	return 20 - n
}

// Lower lets the child and all that it starts have the CPU that nobody else
// wants, until Raise. It does so only where that can be undone.
func (p *Process) Lower() bool {
	done := false
	p.signal(func() {
		done = mayRaise() && unix.Setpriority(unix.PRIO_PGRP, p.PID(), lowest) == nil
	})
	return done
}

// Raise gives the child and its group the bridge's own priority again.
func (p *Process) Raise() {
	p.signal(func() { _ = unix.Setpriority(unix.PRIO_PGRP, p.PID(), niceOf(os.Getpid())) }) // mayRaise has tried it
}

// Spare reports whether less runs on the machine than so many cores carry.
func Spare(cores int) bool {
	text, err := os.ReadFile("/proc/loadavg") // "0.20 0.18 0.12 running/all pid"
	if err != nil {
		return false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 {
		return false
	}
	running, _, _ := strings.Cut(fields[3], "/")
	n, err := strconv.Atoi(running)
	return err == nil && n-1 < cores // the one who asks runs too
}
