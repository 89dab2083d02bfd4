// Command forward passes TCP connections on: forward FROM TO [FROM TO]... It
// gives the cluster's Service an address of this machine's loopback, where the
// end-to-end suite's callers are.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 || len(args)%2 != 0 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: forward FROM TO [FROM TO]...")
		os.Exit(2)
	}
	failed := make(chan error)
	for i := 0; i < len(args); i += 2 {
		go func() { failed <- forward(args[i], args[i+1]) }()
	}
	_, _ = fmt.Fprintln(os.Stderr, "forward:", <-failed)
	os.Exit(1)
}

func forward(from, to string) error {
	l, err := net.Listen("tcp", from)
	if err != nil {
		return err
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go pass(client, to)
	}
}

// pass copies both ways; the end of one is passed on as such.
func pass(client net.Conn, to string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, server)
	_ = client.(*net.TCPConn).CloseWrite()
	<-done
}
