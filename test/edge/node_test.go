package edge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// A session of a node that is down has ended with it: 404, and its client
// starts again. Without a session the same outage is a 503.
func TestASessionOfADeadNodeIsGone(t *testing.T) {
	t.Parallel()
	g := start(
		t,
		options{values: stack.NginxValues{Nodes: map[string]string{"b": fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))}}},
	)
	session := ".abcdefgh." + strings.Repeat("a", 26)
	for _, request := range [][2]string{{"POST", "/mcp"}, {"POST", "/message?sessionId=b" + session}, {"GET", "/mcp"}} {
		res, body := g.do(t, request[0], request[1], "", "Authorization", bearer, "Mcp-Session-Id", "b"+session)
		if res.StatusCode != 404 || !strings.Contains(body, "no such session") {
			t.Errorf("%v: %d %s, want a JSON-RPC 404", request, res.StatusCode, body)
		}
	}
	if g.lastBridge.Load() != nil {
		t.Error("another node was asked")
	}
}

// The same where the node's name has two addresses, as localhost has.
func TestASessionOfADeadNodeWithTwoAddressesIsGone(t *testing.T) {
	t.Parallel()
	dead := fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))
	g := start(
		t,
		options{values: stack.NginxValues{Nodes: map[string]string{"b": dead}}, edit: func(t *testing.T, dir string) {
			replace(
				t,
				filepath.Join(dir, "site", "upstreams.conf"),
				"upstream gatehouse_node_b {",
				fmt.Sprintf("upstream gatehouse_node_b { server 127.0.0.1:%d;", freeport.Port(t)),
			)
		}},
	)
	res, body := g.do(
		t,
		"POST",
		"/mcp",
		"",
		"Authorization",
		bearer,
		"Mcp-Session-Id",
		"b.abcdefgh."+strings.Repeat("a", 26),
	)
	if res.StatusCode != 404 {
		t.Errorf("%d %s, want 404", res.StatusCode, body)
	}
}

// A node that only cannot be reached now, because its queue is full, still has
// its sessions: who hears 404 would give them up. Of a full socket nginx says 502,
// as of a port that nobody listens on; at a full port its connection times out.
func TestASessionOfABusyNodeIsNotGone(t *testing.T) {
	t.Parallel()
	for kind, logged := range map[string]string{
		"unix": "Resource temporarily unavailable", "tcp": "Connection timed out",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			node := busyNode(t, kind)
			g := start(t, options{values: stack.NginxValues{Nodes: map[string]string{"b": node}}})
			res, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer, "Mcp-Session-Id",
				"b.abcdefgh."+strings.Repeat("a", 26))
			if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
				t.Errorf("%d %s, want 503 with Retry-After", res.StatusCode, body)
			}
			g.logged(t, "error.log", logged) // else this shows nothing
		})
	}
}

// busyNode listens, takes nothing, and has as much waiting as fits.
func busyNode(t *testing.T, kind string) (addr string) {
	t.Helper()
	family, at := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if kind == "unix" {
		dir, err := os.MkdirTemp("", "gh") // a socket's path is short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		addr = "unix:" + filepath.Join(dir, "b.sock")
		family, at = unix.AF_UNIX, &unix.SockaddrUnix{Name: filepath.Join(dir, "b.sock")}
	}
	fd := socket(t, family)
	if err := errors.Join(unix.Bind(fd, at), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	if kind != "unix" {
		bound, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		at, addr = bound, fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
	}
	for range 8 { // one is more than fits
		err := unix.Connect(socket(t, family), at)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	return addr
}

func socket(t *testing.T, family int) int {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}
