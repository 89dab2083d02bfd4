package sandbox_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/bridge/internal/sandbox"
)

// program is this test binary: what links the package becomes a box.
const program = "/proc/self/exe"

func open(t *testing.T, o sandbox.Options) *sandbox.Host {
	t.Helper()
	o.Program, o.Dir, o.Cache = program, t.TempDir(), filepath.Join(t.TempDir(), "cache")
	h, err := sandbox.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Require(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(h.Close)
	return h
}

// boxed is a server of a shell's lines.
func boxed(t *testing.T, h *sandbox.Host, spec sandbox.Spec, script string, env ...string) *sandbox.Maker {
	t.Helper()
	m, err := h.Maker("test", spec, sandbox.Command{
		Argv: []string{"/bin/sh", "-c", script}, Env: append(env, "PATH=/usr/bin:/bin"), Dir: "/usr",
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run is what the lines print in a box, and the box.
func run(t *testing.T, m *sandbox.Maker, whose, script string, env ...string) (string, *sandbox.Box) {
	t.Helper()
	b, err := m.Open(whose)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.Dir, cmd.Env = "/usr", b.Environ(append(env, "PATH=/usr/bin:/bin"))
	if err := b.Enter(cmd); err != nil {
		t.Fatal(err)
	}
	out, _ := cmd.CombinedOutput() // what fails in it is looked at by what it prints
	return string(out), b
}

// TestFoldersOfABox: the child has a home and a folder for temporary files that
// are its own, may write nowhere else, and reads but cannot write its user's
// credentials; all of it is gone with the box.
func TestFoldersOfABox(t *testing.T) {
	h := open(t, sandbox.Options{})
	script := `echo home >$HOME/f && cat $HOME/f; echo tmp >$TMPDIR/f && cat $TMPDIR/f
		cat "$CRED/token"; echo x >"$CRED/token" || echo kept; echo x >/var/tmp/gatehouse-box-test || echo refused
		ls "$HOME/../.." || echo hidden; echo "${GATEHOUSE_SANDBOX-no description}"; ulimit -c`
	m := boxed(t, h, sandbox.Spec{}, script)
	b, err := m.Open("u")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.Credentials(), "token"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.Env = b.Environ([]string{"PATH=/usr/bin:/bin", "CRED=" + b.Credentials(), "HOME=/root", "SSH_AUTH_SOCK=/x"})
	if err := b.Enter(cmd); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if want := "home\ntmp\nsecret\nkept\nrefused\nhidden\nno description\n0\n"; string(out) != want || err != nil {
		t.Errorf("it printed %q, %v; want %q", out, err, want)
	}
	b.Close()
	h.Close()
	if left, err := os.ReadDir(filepath.Dir(h.Dir())); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestDownloadsAreOfOneUser: what one child's server has downloaded is there for
// the next of the same user, and for nobody else; what the bridge's own child has
// downloaded is what each begins with, and no user can write it.
func TestDownloadsAreOfOneUser(t *testing.T) {
	h := open(t, sandbox.Options{})
	script := `cat $XDG_CACHE_HOME/f || echo nothing; echo $W >$XDG_CACHE_HOME/f; ln -sf $XDG_CACHE_HOME/f $XDG_CACHE_HOME/l
		echo $W >$SEED/f`
	m := boxed(t, h, sandbox.Spec{}, script)
	var seed string
	for i, c := range []struct{ whose, want string }{
		{"u", "nothing"}, {"u", "1"}, {"", "nothing"}, {"v", "3"}, {"u", "2"}, {"v", "4"}, {"", "3"},
		{sandbox.Stranger, "nothing"}, {sandbox.Stranger, "nothing"},
	} {
		out, b := run(t, m, c.whose, script, fmt.Sprintf("W=%d", i+1), "SEED="+seed)
		if !strings.Contains(out, c.want+"\n") {
			t.Errorf("%d, %q: %q, want %s", i, c.whose, out, c.want)
		}
		if c.whose == "" {
			for _, pair := range b.Environ(nil) {
				if dir, ok := strings.CutPrefix(pair, "XDG_CACHE_HOME="); ok {
					seed = dir
				}
			}
		}
		b.Close()
		h.Settle()
	}
}

// TestNothingDownloadedLeavesNothing: a bridge whose servers downloaded nothing
// leaves no folder behind, and one with a download keeps it.
func TestNothingDownloadedLeavesNothing(t *testing.T) {
	for script, want := range map[string]bool{"true": false, "echo x >$XDG_CACHE_HOME/f": true} {
		cache := filepath.Join(t.TempDir(), "cache")
		h, err := sandbox.Open(sandbox.Options{Program: program, Dir: t.TempDir(), Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Require(); err != nil {
			t.Skip(err)
		}
		_, b := run(t, boxed(t, h, sandbox.Spec{}, script), "u", script)
		b.Close()
		h.Close()
		if _, err := os.Stat(cache); (err == nil) != want {
			t.Errorf("after %q the folder is there: %t, want %t", script, err == nil, want)
		}
	}
}

// TestWidened: what the entry lists can be read, written and connected to, and
// a port or a file that the command names needs no list.
func TestWidened(t *testing.T) {
	h := open(t, sandbox.Options{})
	dir := t.TempDir()
	listen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close() //nolint:errcheck // of the test
	port := uint16(listen.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(filepath.Join(dir, "r"), []byte("read\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	connect := fmt.Sprintf(`bash -c '(: </dev/tcp/127.0.0.1/%d) && echo connected' || echo refused`, port)
	script := fmt.Sprintf("cat %s/r || echo refused; echo w >%s/w && echo written || echo refused; %s", dir, dir, connect)
	for name, c := range map[string]struct {
		spec sandbox.Spec
		env  string
		want string
	}{
		"nothing":      {sandbox.Spec{}, "A=b", "refused\nrefused\nrefused\n"},
		"read":         {sandbox.Spec{Read: []string{dir}}, "A=b", "read\nrefused\nrefused\n"},
		"write":        {sandbox.Spec{Write: []string{dir}}, "A=b", "read\nwritten\nrefused\n"},
		"connect":      {sandbox.Spec{Connect: []uint16{port}}, "A=b", "refused\nrefused\nconnected\n"},
		"any port":     {sandbox.Spec{AnyPort: true}, "A=b", "refused\nrefused\nconnected\n"},
		"named port":   {sandbox.Spec{}, fmt.Sprintf("URL=http://127.0.0.1:%d/x", port), "refused\nrefused\nconnected\n"},
		"named number": {sandbox.Spec{}, fmt.Sprintf("PGPORT=%d", port), "refused\nrefused\nconnected\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := run(t, boxed(t, h, c.spec, script, c.env), "", script, c.env)
			var said []string
			for line := range strings.Lines(out) {
				if !strings.Contains(line, ": ") { // the shell's own words about it
					said = append(said, line)
				}
			}
			if got := strings.Join(said, ""); got != c.want {
				t.Errorf("%q, want %q", out, c.want)
			}
		})
	}
}

// TestOwnKnobs: a program may choose the processors, the priority and the
// scheduler of its own threads, as it names them by 0.
func TestOwnKnobs(t *testing.T) {
	h := open(t, sandbox.Options{})
	script := "taskset $(taskset -p $$ | sed 's/.* //') echo processors; nice -n 3 echo priority; " +
		"chrt --other 0 echo scheduler; ionice -c 2 -n 6 echo disks; ulimit -c 0 && echo limits"
	out, _ := run(t, boxed(t, h, sandbox.Spec{}, script), "", script)
	if out != "processors\npriority\nscheduler\ndisks\nlimits\n" {
		t.Errorf("%s", out)
	}
}

// TestTheBridgesOwn: a port of the bridge is not opened because a variable names
// it, nor a folder because the child runs there when it holds a secret.
func TestTheBridgesOwn(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "tokens")
	if err := os.WriteFile(secret, []byte("alice secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	listen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close() //nolint:errcheck // of the test
	port := uint16(listen.Addr().(*net.TCPAddr).Port)
	h := open(t, sandbox.Options{Reserved: []uint16{port}, Secrets: []string{secret}})
	script := fmt.Sprintf("echo runs; cat tokens; "+
		"bash -c 'echo dials; (: </dev/tcp/127.0.0.1/%d) && echo connected'", port)
	env := []string{"PATH=/usr/bin:/bin", fmt.Sprintf("KEYS=http://127.0.0.1:%d", port)}
	m, err := h.Maker("test", sandbox.Spec{}, sandbox.Command{Argv: []string{"sh", "-c", script}, Env: env, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Open("")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir, cmd.Env = dir, b.Environ(env)
	if err := b.Enter(cmd); err != nil {
		t.Fatal(err)
	}
	out, _ := cmd.CombinedOutput() // the last of it fails
	if !strings.Contains(string(out), "runs\n") || !strings.Contains(string(out), "dials\n") {
		t.Errorf("it was never tried: %s", out)
	}
	if strings.Contains(string(out), "alice") || strings.Contains(string(out), "connected") {
		t.Errorf("it got %s", out)
	}
}

// TestNotTheBoxesOfOthers: no list opens what all boxes lie in.
func TestNotTheBoxesOfOthers(t *testing.T) {
	h := open(t, sandbox.Options{})
	for _, path := range []string{"/", filepath.Dir(h.Dir()), h.Dir()} {
		if _, err := h.Maker("test", sandbox.Spec{Read: []string{path}}, sandbox.Command{Argv: []string{"x"}}); err == nil {
			t.Errorf("%s may be read", path)
		}
	}
}

// TestNotStartedOutside: a box that cannot be made starts nothing.
func TestNotStartedOutside(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program, "box", "/bin/echo", "echo", "started")
	cmd.Env = []string{`GATEHOUSE_SANDBOX={"g":"/nowhere"}`}
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), "started\n") || !strings.Contains(string(out), "is not started") {
		t.Errorf("%s, %v", out, err)
	}
}

func BenchmarkStart(b *testing.B) {
	for name, p := range map[string]string{"with the box": program, "without": ""} {
		b.Run(name, func(b *testing.B) {
			h, err := sandbox.Open(sandbox.Options{Program: p, Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			m, err := h.Maker("test", sandbox.Spec{}, sandbox.Command{Argv: []string{"/bin/true"}})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				box, err := m.Open("u")
				if err != nil {
					b.Fatal(err)
				}
				cmd := exec.CommandContext(b.Context(), "/bin/true")
				cmd.Env = box.Environ(os.Environ())
				if err := box.Enter(cmd); err != nil {
					b.Fatal(err)
				}
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
				box.Close()
			}
		})
	}
}
