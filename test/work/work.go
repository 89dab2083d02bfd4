// Package work measures what a test makes the processor do. A bound on it holds
// on a machine that has other work beside the test, where a bound on the clock
// does not.
//
// It must never be linked by a program that is shipped.
package work

import (
	"runtime"
	"syscall"
	"time"
)

// Of returns the processor's time that do took on its own goroutine. What it
// leaves to other goroutines is not counted.
func Of(do func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := spent()
	do()
	return spent() - begin
}

// spent is what this thread has taken of the processors up to now.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err) // the call is right, so the system lacks it
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const thread = 1 // RUSAGE_THREAD of getrusage(2)
