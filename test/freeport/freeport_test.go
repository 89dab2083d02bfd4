package freeport_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"gatehouse/test/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two that ask at once get two ports, and what is released comes back.
func TestAPortIsGivenOnce(t *testing.T) {
	const askers, each = 8, 100
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		given = map[int]func(){}
	)
	for range askers {
		all.Go(func() {
			for range each {
				port, release, err := freeport.Reserve()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if given[port] != nil {
					t.Errorf("port %d was given twice", port)
				}
				given[port] = release
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for port, release := range given {
		release()
		again, err := net.Listen("unix", fmt.Sprintf("@gatehouse-port-%d", port))
		if err != nil {
			t.Fatalf("port %d is still reserved: %v", port, err)
		}
		_ = again.Close()
	}
}

func TestAPortCanBeListenedOn(t *testing.T) {
	l, err := net.Listen("tcp", freeport.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// The kernel must not give one of these ports to somebody's connection.
func TestPortsLieBelowTheKernels(t *testing.T) {
	raw, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	low, err := strconv.Atoi(strings.Fields(string(raw))[0])
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if port := freeport.Port(t); port >= low {
			t.Fatalf("port %d lies among the kernel's, from %d", port, low)
		}
	}
}
