//go:build production

package production

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is for what a busy machine does slowly: a boot, a start of Keycloak.
const patience = 3 * time.Minute

// box is a Debian tree with systemd as process 1. Its network is the one that
// this test runs in; run.sh has made it.
type box struct {
	dir, tree string
	unshare   *exec.Cmd
	pid       string // of its process 1, out here
	shell     *exec.Cmd
	lines     io.WriteCloser
	said      *os.File
}

// boot starts it, or starts it again with what it wrote before.
func (b *box) boot(t *testing.T) {
	t.Helper()
	console, err := os.OpenFile(filepath.Join(b.dir, "console"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(b.dir, "pid")) // of a boot before
	b.unshare = exec.Command("bash", "box.sh", b.dir, b.tree)
	b.unshare.Stdout, b.unshare.Stderr = console, console
	b.unshare.SysProcAttr = dieWithUs
	if err := b.unshare.Start(); err != nil {
		t.Fatal(err)
	}
	_ = console.Close()
	until(t, "process 1 is there", func() bool {
		text, err := os.ReadFile(filepath.Join(b.dir, "pid"))
		b.pid = strings.TrimSpace(string(text))
		return err == nil && b.pid != ""
	})
	until(t, "systemd has booted", func() bool {
		out, _ := b.command(t.Context(), "systemctl", "is-system-running").Output()
		state := strings.TrimSpace(string(out))
		return state == "running" || state == "degraded"
	})
}

// end powers it off and waits.
func (b *box) end() {
	if b.unshare == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// systemd stops what it ends, and nsenter would stop with its shell for ever:
	// a process 1 waits for all that is in its namespace.
	if b.shell != nil {
		_ = b.lines.Close()
		_ = b.shell.Wait()
	}
	_ = b.command(ctx, "systemctl", "poweroff").Run()
	gone := make(chan struct{})
	go func() { _ = b.unshare.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
		_ = b.unshare.Process.Kill()
		<-gone
	}
	b.unshare, b.shell = nil, nil
}

// command runs inside, with the environment of a login of root and no more.
func (b *box) command(ctx context.Context, argv ...string) *exec.Cmd {
	enter := []string{
		"-t", b.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "env", "-i",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
	}
	return exec.CommandContext(ctx, "nsenter", append(enter, argv...)...)
}

// run is command, which must succeed; it returns what was said.
func (b *box) run(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := b.command(ctx, argv...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// file is the path out here of a file inside.
func (b *box) file(path string) string { return "/proc/" + b.pid + "/root" + path }

func (b *box) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(b.file(path), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// property is what systemd says of a unit.
func (b *box) property(t *testing.T, unit, name string) string {
	t.Helper()
	return b.run(t, "systemctl", "show", "--value", "-p", name, unit)
}

// login opens root's shell, in which all lines of the page are typed: what one
// block sets the next one has. A line that fails ends it.
func (b *box) login(t *testing.T) {
	t.Helper()
	b.shell = b.command(context.Background(), "bash", "-e", "-u", "-o", "pipefail", "-s")
	said, err := os.OpenFile(filepath.Join(b.dir, "typed"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	b.said = said
	b.shell.Stdout, b.shell.Stderr = said, said
	if b.lines, err = b.shell.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := b.shell.Start(); err != nil {
		t.Fatal(err)
	}
}

// typed types a block and waits until its last line has succeeded. It returns
// what the lines said.
func (b *box) typed(t *testing.T, block string) string {
	t.Helper()
	began := time.Now()
	from, err := b.said.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("== done %d", began.UnixNano())
	ended := make(chan error, 1)
	// In a file, so that no program reads the lines that come after it.
	b.write(t, "/run/typed", block+"\n")
	if _, err := io.WriteString(b.lines, "source /run/typed </dev/null\necho '"+mark+"'\n"); err != nil {
		t.Fatalf("the shell has ended: %v", err)
	}
	shell := b.shell
	go func() {
		for {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d/fd", shell.Process.Pid)); err != nil {
				ended <- err
				return
			}
			state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", shell.Process.Pid))
			if bytes.Contains(state, []byte(") Z ")) {
				ended <- fmt.Errorf("a line failed")
				return
			}
			select {
			case <-t.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	read := func() string {
		size, _ := b.said.Seek(0, io.SeekEnd)
		text := make([]byte, size-from)
		_, _ = b.said.ReadAt(text, from)
		return string(text)
	}
	for end := time.Now().Add(2 * patience); ; {
		text := read()
		if before, _, ok := strings.Cut(text, mark); ok {
			t.Logf("%5.1f s  %s", time.Since(began).Seconds(), strings.SplitN(block, "\n", 2)[0])
			return before
		}
		select {
		case err := <-ended:
			t.Fatalf("%v, in:\n%s\nsaid:\n%s", err, block, read())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("no end of:\n%s\nsaid:\n%s", block, read())
		}
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(250 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
