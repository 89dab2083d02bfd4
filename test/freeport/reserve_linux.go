package freeport

import (
	"fmt"
	"syscall"
)

// reserve binds a bare descriptor: a net.Listener that nobody keeps would be
// closed by the garbage collector.
func reserve(port int) (release func(), ok bool) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	release = func() { _ = syscall.Close(fd) }
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: fmt.Sprintf("@gatehouse-port-%d", port)}); err != nil {
		release()
		return nil, false
	}
	return release, true
}
