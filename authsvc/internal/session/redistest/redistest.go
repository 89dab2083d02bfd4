// Package redistest runs a real redis-server for a test, on a socket of its
// own, and stops, freezes and thaws it.
package redistest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startLimit outlasts a sentinel's look at its master, every 10 s, on a machine
// that has little time for it.
const startLimit = 90 * time.Second

// Server is one redis-server.
type Server struct {
	URL string
	CA  []byte // of a server with TLS

	t      testing.TB
	listen [2]string // network, address
	argv   []string
	cmd    *exec.Cmd
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	socket := filepath.Join(dir(t), "s")
	return run(
		t,
		&Server{
			URL:    "unix://" + socket,
			listen: [2]string{"unix", socket},
			argv:   []string{"--port", "0", "--unixsocket", socket},
		},
	)
}

// dir is a folder whose name is short enough for a socket; t.TempDir's is not.
func dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func run(t testing.TB, s *Server) *Server {
	t.Helper()
	s.t = t
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// Start starts it, again after Stop: empty.
func (s *Server) Start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", append(s.argv, "--save", "", "--appendonly", "no")...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server: %v", err)
	}
	await(s.t, "redis-server takes connections", func() error {
		conn, err := net.Dial(s.listen[0], s.listen[1])
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// await polls a condition until it holds.
func await(t testing.TB, what string, holds func() error) {
	t.Helper()
	for end := time.Now().Add(startLimit); ; {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", what, startLimit, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Stop kills it.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze makes it hang: connections stay, nothing answers.
func (s *Server) Freeze() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (s *Server) Thaw() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Fill leaves no room for another value (maxmemory with noeviction), until
// Drain.
func (s *Server) Fill() { s.order("config", "set", "maxmemory", "1") }

// Lock demands a password from now on, of those that are connected as well.
func (s *Server) Lock() {
	s.order("config", "set", "requirepass", "another")
	s.t.Helper()
	cmd := exec.Command("redis-cli", "-s", s.listen[1], "-a", "another", "client", "kill", "type", "normal")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("redis-cli: %v\n%s", err, out)
	}
}

// Limit leaves the server this many bytes more than it holds now.
func (s *Server) Limit(more int) {
	s.t.Helper()
	out, err := exec.Command("redis-cli", "-s", s.listen[1], "info", "memory").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if used, ok := strings.CutPrefix(line, "used_memory:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(used))
			s.order("config", "set", "maxmemory", strconv.Itoa(n+more))
		}
	}
}

// Drain ends Fill and Limit.
func (s *Server) Drain() { s.order("config", "set", "maxmemory", "0") }

// Deafen cuts every subscription and allows no other: what is published from now
// on is lost.
func (s *Server) Deafen() {
	s.t.Helper()
	s.order("acl", "setuser", "default", "-subscribe")
	s.order("client", "kill", "type", "pubsub")
}

// Pause holds every answer back for a while.
func (s *Server) Pause(d time.Duration) {
	s.t.Helper()
	s.order("client", "pause", strconv.FormatInt(d.Milliseconds(), 10), "all")
}

func (s *Server) order(args ...string) {
	s.t.Helper()
	cmd := exec.Command("redis-cli", append([]string{"-s", s.listen[1]}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("redis-cli: %v\n%s", err, out)
	}
}
