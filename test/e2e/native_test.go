//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/stack"
)

// `make run` interrupted before it is ready, and when all is up: no process
// and no port is left.
func TestNativeInterruptLeavesNothing(t *testing.T) {
	for name, after := range map[string]string{"half-way": stack.Redis, "when all is up": "Ctrl-C stops everything."} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(
				ctx,
				filepath.Join(repository(t), "bin", "run"),
				"-free",
				"-dir",
				dir,
				"-keycloak",
				os.Getenv("GATEHOUSE_KEYCLOAK"),
			)
			cmd.Dir = repository(t)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := ""
			for lines := bufio.NewScanner(out); lines.Scan(); {
				said += lines.Text() + "\n"
				if strings.HasPrefix(lines.Text(), after) {
					break
				}
			}
			if len(processes(t, dir)) == 0 {
				t.Fatalf("nothing runs before the interrupt; it said:\n%s", said)
			}
			// A closed terminal sends SIGHUP, and nobody reads what is said then.
			signal := map[bool]syscall.Signal{true: syscall.SIGHUP, false: syscall.SIGINT}[after == stack.Redis]
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("an end that was asked for is no error: %v", err)
			}
			if left := stay(t, dir); len(left) > 0 {
				t.Errorf("left running:\n%s", strings.Join(left, "\n"))
			}
			t.Log(said)
		})
	}
}

// What stands in the way is one line that names the part and the way out, and
// nothing is left running.
func TestNativeRunSaysWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"a taken port": {
			[]string{"-https", port, "-keycloak", os.Getenv("GATEHOUSE_KEYCLOAK")},
			[]string{"nginx (https)", port, "is taken"},
		},
		"no Keycloak": {[]string{"-free", "-keycloak", "/nowhere"}, []string{"keycloak", "/nowhere", "make run"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(
				t.Context(),
				filepath.Join(repository(t), "bin", "run"),
				append([]string{"-dir", dir}, c.args...)...)
			cmd.Dir = repository(t)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("it started:\n%s", out)
			}
			for _, want := range c.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("it said no %q:\n%s", want, out)
				}
			}
			if left := stay(t, dir); len(left) > 0 {
				t.Errorf("left running:\n%s", strings.Join(left, "\n"))
			}
		})
	}
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// stay are the processes that are left after ten seconds: who was told to end may
// still be about to when its parent has ended.
func stay(t *testing.T, dir string) (left []string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(50 * time.Millisecond) {
		left = processes(t, dir)
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// processes are the command lines that name the stack's folder, or stand in it.
func processes(t *testing.T, dir string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, proc := range all {
		line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		text := strings.ReplaceAll(string(line), "\x00", " ")
		if (strings.Contains(text, dir) || strings.HasPrefix(cwd, dir)) && !strings.Contains(text, "bin/run ") {
			found = append(found, text)
		}
	}
	return found
}
