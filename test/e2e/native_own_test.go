//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// readme is the line of README.md that begins so, without its comment.
func readme(t *testing.T, prefix string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, prefix) {
			line, _, _ = strings.Cut(line, " #")
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("README.md has no line that begins with %q", prefix)
	return ""
}

// One's own server and a colleague by the README's own lines, in a folder whose
// name has a space; a part that dies is said at once.
func TestNativeOwnServerAndColleague(t *testing.T) {
	t.Parallel()
	dir, data := filepath.Join(t.TempDir(), "a gate"), t.TempDir()
	line := readme(t, `make run RUN_ARGS="-- npx`)
	command := strings.Fields(regexp.MustCompile(`"-- (.*)"`).FindStringSubmatch(line)[1])
	if i := slices.Index(command, "/data"); i > 0 {
		command[i] = data
	}
	if err := os.WriteFile(filepath.Join(data, "hello.txt"), []byte("hello from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	run := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(repository(t), "bin", "run"), args...)
		cmd.Dir = repository(t)
		return cmd
	}
	cmd := run(append([]string{"-free", "-dir", dir, "-keycloak", os.Getenv("GATEHOUSE_KEYCLOAK"), "--"}, command...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := &strings.Builder{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C stops everything.") {
			break
		}
	}
	t.Log(said)
	if !strings.Contains(said.String(), "read_text_file") {
		t.Fatalf("the own server's tools are not listed; it said %s", errs.String())
	}

	colleague := strings.TrimPrefix(readme(t, "make user NAME="), "make user NAME=")
	if told, err := run("user", "-dir", dir, colleague).CombinedOutput(); err != nil {
		t.Fatalf("make user: %v\n%s", err, told)
	}
	at := regexp.MustCompile(`https://localhost:\d+`).FindString(said.String())
	issuer := regexp.MustCompile(`http://127\.0\.0\.1:\d+/realms/[a-z]+`).FindString(said.String())
	gate, err := stack.Attach(stack.Gate{URL: at, Issuer: issuer, CA: filepath.Join(dir, "ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	token, err := gate.Token(ctx, colleague)
	if err != nil {
		t.Fatal(err)
	}
	client := gate.HTTPClient()
	client.Transport = as{client.Transport, bearer(token)}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "colleague", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: client}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.CallTool(ctx, &mcp.CallToolParams{
		Name: "read_text_file", Arguments: map[string]any{"path": filepath.Join(data, "hello.txt")},
	})
	if err != nil || !strings.Contains(res.Content[0].(*mcp.TextContent).Text, "hello from a file") {
		t.Errorf("the colleague's call: %+v, %v", res, err)
	}
	_ = s.Close()

	killed := false
	for _, line := range processes(t, dir) {
		if strings.Contains(line, "redis-server") {
			killed = exec.CommandContext(ctx, "redis-cli", "-p", regexp.MustCompile(`:(\d+)`).FindStringSubmatch(line)[1],
				"shutdown", "nosave").Run() == nil
		}
	}
	if !killed {
		t.Fatal("no Redis to end")
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(errs.String(), "redis has ended") {
		t.Errorf("a part that ended: %v, it said %q", err, errs.String())
	}
	if left := stay(t, dir); len(left) > 0 {
		t.Errorf("left running:\n%s", strings.Join(left, "\n"))
	}
}
