//go:build !linux

package child

// Capacity is how many children may run at once where the system is not asked:
// each holds a thread, and the runtime ends a program that needs 10,000.
func Capacity() int { return 1000 }

// memoryLeft is not known there.
func memoryLeft() bool { return true }
