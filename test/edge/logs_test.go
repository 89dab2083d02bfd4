package edge

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The recipes of nginx/logs on a recorded log, at noon of its day.
func TestRecipesReadTheAuditLog(t *testing.T) {
	t.Parallel()
	// What else stands in such a file: a line that a full disk cut, one that is no
	// object, and one of the guide's own format.
	odd := filepath.Join(t.TempDir(), "odd.log")
	write(t, odd, `{"time":"2026-11-24T11:57:0`+"\n"+`123`+"\n"+
		`{"time":"2026-11-24T09:00:00+00:00","client_ip":"203.0.113.7","user_email":"",`+
		`"method":"POST","uri":"/sse","status":200,"bytes":1,"request_time":0.1,"user_agent":"x"}`+"\n")
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for recipe, want := range map[string]string{
		"last-hour": "20:50:00  200  2.5 s  bob@example.com  POST /mcp  203.0.113.9\n" +
			"11:51:00  429  0.004 s  bob@example.com  POST /mcp  203.0.113.9\n" +
			"11:52:00  429  0.004 s  bob@example.com  POST /mcp  203.0.113.9\n" +
			"11:53:00  429  0.004 s  -  POST /mcp  198.51.100.1\n" +
			"11:54:00  401  0.004 s  -  POST /mcp  198.51.100.1\n" +
			"11:55:00  200  1.25 s  alice@example.com  POST /mcp  203.0.113.7\n" +
			"11:56:00  503  0.004 s  alice@example.com  POST /mcp  203.0.113.7\n",
		"limited": "2\tbob@example.com\t203.0.113.9\tuser\n1\t-\t198.51.100.1\taddress\n",
		"slow": "2.5\t0.003\t200\tbob@example.com\tPOST\t/mcp\t0000000000000000495e69c9b187ac2c\n" +
			"1.25\t0.003\t200\talice@example.com\tPOST\t/mcp\t00000000000000005cd349a410cb82c3\n",
		"used-today": "alice@example.com\t/mcp\t3\t1\t10:45:00\t11:56:00\n" +
			"alice@example.com\t/sse\t1\t0\t08:00:00\t08:00:00\n" +
			"bob@example.com\t/mcp\t3\t2\t11:50:00\t11:52:00\n",
		"refusals": "3\t429\tlimited\t2\n1\t401\tnot signed in\t1\n1\t503\tunavailable\t1\n",
	} {
		t.Run(recipe, func(t *testing.T) {
			file := filepath.Join("..", "..", "nginx", "logs", recipe+".jq")
			cmd := exec.Command("jq", usage(t, file), file, filepath.Join("testdata", "mcp-access.log"), odd)
			cmd.Env = append(os.Environ(), "NOW="+strconv.FormatInt(noon.Unix(), 10))
			got, err := cmd.Output()
			if err != nil || string(got) != want {
				t.Errorf("%v, printed:\n%s\nwant:\n%s", err, got, want)
			}
		})
	}
	if files, _ := filepath.Glob(filepath.Join("..", "..", "nginx", "logs", "*.jq")); len(files) != 5 {
		t.Errorf("%d recipes, 5 are tested", len(files))
	}
}

// usage is jq's options as the recipe's own comment tells them.
func usage(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "#   jq ")
	options, rest, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(rest, filepath.Base(file)+" mcp-access.log\n") {
		t.Fatalf("%s does not say how it is called", file)
	}
	return options
}

// The file that operators install, with this test's paths in it, by logrotate
// itself: nginx goes on in a new file.
func TestLogrotateReopensTheLog(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "User-Agent", "before")
	g.logged(t, "access.log", "before") // an empty file is not rotated
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "logrotate", "gatehouse"))
	if err != nil {
		t.Fatal(err)
	}
	local := strings.NewReplacer("/var/log/gatehouse/*.log", filepath.Join(g.dir, "access.log"),
		"/run/nginx.pid", filepath.Join(g.dir, "nginx.pid"),
		"create 0640 www-data adm", "create 0640").
		Replace(string(text))
	conf := filepath.Join(g.dir, "logrotate.conf")
	if err := os.WriteFile(conf, []byte(local), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "logrotate", "--force", "--state", filepath.Join(g.dir, "state"), conf)
	if old := g.logged(t, "access.log.1", "before"); strings.Contains(old, "after") {
		t.Error("the rotated file is still written")
	}
	for end := time.Now().Add(wait); ; {
		g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "User-Agent", "after")
		if raw, _ := os.ReadFile(filepath.Join(g.dir, "access.log")); bytes.Contains(raw, []byte("after")) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("nginx did not reopen its log")
		}
	}
}

// The error log prints request lines: with the drop-in's umask nginx makes its
// logs unreadable to others from the first start on.
func TestTheUnitsLogsAreNotForOthers(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	unit, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", "nginx.service.d", "gatehouse.conf"))
	if err != nil {
		t.Fatal(err)
	}
	_, umask, found := strings.Cut(string(unit), "\nUMask=")
	if !found {
		t.Fatal("the drop-in sets no umask")
	}
	umask, _, _ = strings.Cut(umask, "\n")
	for _, name := range []string{"access.log", "error.log"} {
		if err := os.Remove(filepath.Join(g.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "sh", "-c", "umask "+umask+" && exec nginx -t -q -p "+g.dir+" -c "+filepath.Join(g.dir, "nginx.conf"))
	for _, name := range []string{"access.log", "error.log"} {
		info, err := os.Stat(filepath.Join(g.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o640 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// Lines are held for a second: a stop writes them.
func TestAStopWritesWhatTheLogHolds(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGQUIT, syscall.SIGTERM} {
		g := start(t, options{edit: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "site", "server.conf"), "flush=1s", "flush=1h")
		}})
		g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "User-Agent", "last words")
		if err := g.nginx.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		g.logged(t, "access.log", "last words")
	}
}

// logged waits until the file holds the word, and returns the file.
func (g *gate) logged(t *testing.T, name, word string) string {
	t.Helper()
	for end := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		raw, _ := os.ReadFile(filepath.Join(g.dir, name))
		if bytes.Contains(raw, []byte(word)) {
			return string(raw)
		}
		if time.Now().After(end) {
			t.Fatalf("%s holds no %q:\n%s", name, word, raw)
		}
	}
}

// lines waits until the audit log holds n lines, and returns it. Each worker
// writes its own once a second, so the last request's need not come last.
func (g *gate) lines(t *testing.T, n int) []byte {
	t.Helper()
	for end := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		raw, _ := os.ReadFile(filepath.Join(g.dir, "access.log"))
		if bytes.Count(raw, []byte("\n")) == n {
			return raw
		}
		if time.Now().After(end) {
			t.Fatalf("%d lines, want %d", bytes.Count(raw, []byte("\n")), n)
		}
	}
}
