// Package running builds the bridge for a package of tests, and runs one for a
// test as a service manager does.
//
// A bridge that it started answers, and ends by SIGTERM and with 0 before its
// test does, or the test fails and has its log. It must never know what a test
// wants of a bridge: flags, environment and files are the caller's.
package running

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Build makes the bridge of the tree that the tests stand in, two folders below
// its top. remove takes it away.
func Build() (program string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bridge-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	program = filepath.Join(dir, "bridge")
	build := exec.Command("go", "build", "-o", program, "./bridge")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return program, remove, nil
}

// Tests builds the bridge, runs the tests of a package with it and returns their
// exit code.
func Tests(m *testing.M, program *string) int {
	path, remove, err := Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	*program = path
	return m.Run()
}

const (
	patience = 30 * time.Second // for its first answer
	logTail  = 3000             // bytes of its log that a test shows
)

// Start runs a bridge that listens at base until the test ends.
func Start(t *testing.T, cmd *exec.Cmd, base string) {
	t.Helper()
	var log strings.Builder // read once the process has ended
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the bridge ends with %v", err)
		}
		if t.Failed() {
			t.Logf("the bridge's log:\n%s", log.String()[max(0, log.Len()-logTail):])
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if res, err := http.Get(base + "/health"); err == nil {
			_ = res.Body.Close()
			return
		}
	}
	t.Fatalf("the bridge does not answer in %s", patience)
}
