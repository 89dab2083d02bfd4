package main

import (
	"strings"
	"testing"
)

func TestWhatTheCommandLineRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"both kinds of server": {[]string{"-config", "run_test.go", "--", "npx", "x"}, "give one of them"},
		"no such file":         {[]string{"-config", "nowhere.json"}, "nowhere.json"},
		"a port that is none":  {[]string{"-https", "eight"}, "eight"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := options(append([]string{"-dir", t.TempDir()}, c.args...))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestServerOfOnesOwn(t *testing.T) {
	o, err := options([]string{"-dir", t.TempDir(), "--", "npx", "-y", "server", "/data"})
	if err != nil || strings.Join(o.server, " ") != "npx -y server /data" {
		t.Errorf("%q, %v", o.server, err)
	}
}

// Two gates in one folder would write over each other's files.
func TestASecondStartSaysWhoHoldsTheFolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold(dir); err == nil || !strings.Contains(err.Error(), "process ") ||
		!strings.Contains(err.Error(), "-dir") {
		t.Errorf("a second start: %v", err)
	}
	unlock()
	again, err := hold(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	again()
}

func TestUserNamesAreChecked(t *testing.T) {
	for _, args := range [][]string{{}, {""}, {"Carol Smith"}, {"../x"}, {"a", "b"}} {
		if err := addUser(t.Context(), args, nil); err == nil || !strings.Contains(err.Error(), "NAME=carol") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
