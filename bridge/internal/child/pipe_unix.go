//go:build unix

package child

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// writeNow writes what the pipe has room for.
func writeNow(pipe *os.File, buf []byte) (n int, err error) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = conn.Write(func(fd uintptr) bool {
		for n < len(buf) && failed == nil {
			var k int
			k, failed = unix.Write(int(fd), buf[n:])
			n += max(k, 0)
			if errors.Is(failed, unix.EINTR) {
				failed = nil
			}
		}
		return true
	})
	if errors.Is(failed, unix.EAGAIN) {
		failed = nil
	}
	return n, errors.Join(err, failed)
}

// closeInput ends the child's input, also while a write to it waits.
func closeInput(pipe *os.File) { _ = pipe.Close() }

// exhausted are the errors of a machine that has no more to give.
func exhausted() []error { return []error{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE} }
