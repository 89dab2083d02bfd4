package bridge_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/test/freeport"
	"gatehouse/test/running"
)

// childMode makes this test binary the stdio server behind the bridge.
const childMode = "GATEHOUSE_TEST_CHILD"

var program string // the bridge

func TestMain(m *testing.M) {
	if os.Getenv(childMode) != "" {
		serveChild()
		return
	}
	path, remove, err := running.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = path
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	remove()
	os.Exit(code)
}

// bridge is a running one.
type bridge struct {
	cmd   *exec.Cmd
	base  string
	log   *logBuffer
	ended chan struct{}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logged counts the lines of the log that hold all of these.
func (b *bridge) logged(parts ...string) (n int) {
	for line := range strings.Lines(b.log.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			n++
		}
	}
	return n
}

// own is the test binary as the child.
func own() []string { return []string{"--", os.Args[0]} }

// start runs the bridge with this test binary as its child.
func start(t *testing.T, flags ...string) *bridge {
	t.Helper()
	return startArgs(t, append(flags, own()...)...)
}

func startArgs(t *testing.T, args ...string) *bridge {
	t.Helper()
	return startLogging(t, nil, args...)
}

// startLogging lets the bridge log to a file instead of the test's buffer.
func startLogging(t *testing.T, log *os.File, args ...string) *bridge {
	t.Helper()
	addr := freeport.Addr(t)
	b := &bridge{base: "http://" + addr, log: &logBuffer{}, ended: make(chan struct{})}
	b.cmd = exec.Command(program, append([]string{"--listen", addr}, args...)...)
	b.cmd.Env = append(os.Environ(), childMode+"=1", "GORACE=atexit_sleep_ms=0")
	b.cmd.Stderr = b.log
	if log != nil {
		b.cmd.Stderr = log
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = b.cmd.Wait() // how it ended is each test's own question
		close(b.ended)
	}()
	t.Cleanup(func() {
		b.stop(t)
		if t.Failed() {
			t.Logf("the bridge's log:\n%s", tailOf(b.log.String(), 3000))
		}
	})
	eventually(t, "the bridge answers", func() bool {
		res, err := http.Get(b.base + "/health")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
	return b
}

// stop ends the bridge as a service manager does, and waits.
func (b *bridge) stop(t *testing.T) {
	t.Helper()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(30 * time.Second):
		_ = b.cmd.Process.Kill()
		<-b.ended
		t.Errorf("the bridge does not end on SIGTERM")
	}
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }

// eventually waits for a condition, 20 s at most.
func eventually(t *testing.T, what string, true_ func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if true_() {
			return
		}
	}
	t.Fatalf("not in 20 s: %s", what)
}

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z")
}

const guardian = 1 // the one child of every bridge that is no server

// childrenOf counts the live direct children of a process.
func childrenOf(pid int) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	n := 0
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		var state string
		var parent int
		if _, err := fmt.Sscan(rest, &state, &parent); err == nil && parent == pid {
			n++
		}
	}
	return n
}

// filesOf counts the descriptors of a process.
func filesOf(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// residentKB is the process's RSS.
func residentKB(t *testing.T, pid int, field string) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), field+":")
	var kb int
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
