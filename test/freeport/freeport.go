// Package freeport finds loopback ports for programs that a test starts.
//
// A port that it gave is nobody else's: it lies below those from which the
// kernel serves outgoing connections and port 0, and it is reserved against
// every other test of the machine until it is released, while nobody listens
// on it. The reservation is an abstract Unix socket that bears the port's
// number; the kernel takes it back when the process ends, however it ends.
//
// It must never be linked by a program that is shipped.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Linux gives out 32768 and above by itself (ip_local_port_range).
const first, count = 10000, 20000

var errNone = errors.New("freeport: no port is free")

// Reserve returns a port on which nobody listens. Nobody else is given it
// until release, or the end of this process.
func Reserve() (port int, release func(), err error) {
	for range count {
		port = first + rand.N(count)
		release, ok := reserve(port)
		if !ok {
			continue
		}
		if listenable(port) {
			return port, release, nil
		}
		release()
	}
	return 0, nil, errNone
}

// listenable tells whether the port is free on every address.
func listenable(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Port is a port reserved until the test ends.
func Port(t testing.TB) int {
	t.Helper()
	port, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// Addr is Port as an address of the loopback interface, host:port.
func Addr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Port(t))
}
