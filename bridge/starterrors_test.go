package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// A port that is taken ends the start: the line names the flag, the value and
// the way out.
func TestATakenPortIsNamedByItsFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, args := range map[string][]string{
		"--listen":       {"--listen", taken.Addr().String()},
		"--admin-listen": {"--listen", freeport.Addr(t), "--admin-listen", taken.Addr().String()},
	} {
		var log bytes.Buffer
		code := run(t.Context(), append(args, "--", "cat"), io.Discard, &log)
		want := fmt.Sprintf("%s: %s is taken by another program: stop that one, or give another address", flag, taken.Addr())
		if code == exitOK || !strings.Contains(log.String(), want) {
			t.Errorf("%d, want %q:\n%s", code, want, log.String())
		}
	}
}

// A file may name a command that is not there: the others are served, and the
// line names the entry, the command and the way out.
func TestACommandThatIsNotThereIsNamedByItsEntry(t *testing.T) {
	config := filepath.Join(t.TempDir(), "mcp.json")
	text := `{"mcpServers": {"wrong": {"command": "no-such-command"}, "right": {"command": "cat"}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	log := endAt{text: "bridge is up", end: cancel}
	if code := run(ctx, []string{"--listen", freeport.Addr(t), "--config", config}, io.Discard, &log); code != exitOK {
		t.Errorf("ended with %d", code)
	}
	want := `mcpServers.wrong.command: \"no-such-command\" cannot be started: executable file not found in $PATH; ` +
		"name a program that is on the PATH or give its whole path"
	if said := log.String(); !strings.Contains(said, want) || strings.Contains(said, "mcpServers.right.command") {
		t.Errorf("want %q:\n%s", want, said)
	}
}

// endAt is a log that ends the program when it says a text.
type endAt struct {
	bytes.Buffer
	text string
	end  func()
}

func (l *endAt) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(l.text)) {
		l.end()
	}
	return l.Buffer.Write(line)
}
