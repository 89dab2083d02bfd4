// Package work measures what a test makes the processor do. A bound on it holds
// on a machine that has other work beside the test, where a bound on the clock
// does not. The tests run on Linux; elsewhere it is the clock that is measured.
//
// It must never be linked by a program that is shipped.
package work

import (
	"runtime"
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
