package work

import (
	"syscall"
	"time"
)

const thread = 1 // RUSAGE_THREAD of getrusage(2)

// spent is what this thread has taken of the processors up to now.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err) // the call is right, so the system lacks it
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
