package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gatehouse/test/freeport"
)

// TestRequireSandbox: with --require-sandbox there is no child without a box.
func TestRequireSandbox(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"off":           {[]string{"--require-sandbox", "--sandbox", "off"}, "keep one"},
		"no such place": {[]string{"--require-sandbox", "--sandbox-dir", "/nowhere"}, "private folders"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			if code := run(t.Context(), append(c.args, "--", os.Args[0]), io.Discard, &log); code == exitOK ||
				!strings.Contains(log.String(), c.says) {
				t.Errorf("exit %d: %s", code, log.String())
			}
		})
	}
	file := filepath.Join(t.TempDir(), "servers.json")
	entries := `{"mcpServers": {"a": {"command": "true", "gatehouse": {"sandbox": "off"}}}}`
	if err := os.WriteFile(file, []byte(entries), 0o600); err != nil {
		t.Fatal(err)
	}
	f := flags{Config: file, RequireSandbox: true, Isolation: "session", Identity: "none"}
	read, err := f.servers()
	if err != nil || len(read.Servers) != 1 || read.Servers[0].Err == nil ||
		!strings.Contains(read.Servers[0].Err.Error(), "--require-sandbox") {
		t.Errorf("an entry that is off: %+v, %v", read, err)
	}
}

// TestSandboxOffIsSaid: who switches the box off finds it in the log.
func TestSandboxOffIsSaid(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no box to switch off")
	}
	file := filepath.Join(t.TempDir(), "servers.json")
	entries := `{"mcpServers": {
		"open": {"command": "true", "gatehouse": {"sandbox": "off"}},
		"wide": {"command": "true", "gatehouse": {"sandbox": {"read": ["/"]}}}}}`
	if err := os.WriteFile(file, []byte(entries), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop() // it starts, and ends
	var log bytes.Buffer
	run(ctx, []string{"--listen", freeport.Addr(t), "--config", file}, io.Discard, &log)
	for _, want := range []string{
		"sandbox off: its children are not confined",
		"mcpServers.wide: gatehouse: sandbox: / holds the private folders of every child",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not in the log: %s\n%s", want, log.String())
		}
	}
}
