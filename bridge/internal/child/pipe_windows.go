package child

import (
	"os"

	"golang.org/x/sys/windows"
)

// writeNow writes nothing: a pipe of Windows cannot be asked what it has room
// for. The line waits, and the goroutine of the outbox writes it.
func writeNow(*os.File, []byte) (int, error) { return 0, nil }

// closeInput does not wait: on Windows a close waits for a write under way,
// which ends when the child reads or is killed.
func closeInput(pipe *os.File) { go func() { _ = pipe.Close() }() }

// exhausted are the errors of a machine that has no more to give.
func exhausted() []error {
	return []error{windows.ERROR_NOT_ENOUGH_MEMORY, windows.ERROR_NO_SYSTEM_RESOURCES, windows.ERROR_TOO_MANY_OPEN_FILES}
}
