package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// The ports are reserved from the line that names them to the end of the input,
// and no longer.
func TestPortsAreHeldUntilTheInputEnds(t *testing.T) {
	in, end := io.Pipe()
	said, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- hold(in, out, 2) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	ports := strings.Fields(line)
	if len(ports) != 2 || ports[0] == ports[1] {
		t.Fatalf("it printed %q, want two ports", line)
	}
	for _, port := range ports {
		if reservable(port) {
			t.Errorf("port %s is not reserved", port)
		}
	}
	_ = end.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, port := range ports {
		if !reservable(port) {
			t.Errorf("port %s is still reserved", port)
		}
	}
}

func reservable(port string) bool {
	l, err := net.Listen("unix", "@gatehouse-port-"+port)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
