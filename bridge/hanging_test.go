package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// TestANewSessionStartsNothingThatHangs: of ten servers one does not come up.
// The other nine are told from memory, and no child is started before a call.
// The one that hangs is tried by one session in a minute, and by no other.
func TestANewSessionStartsNothingThatHangs(t *testing.T) {
	admin := freeport.Addr(t)
	entries := []string{`"deaf": {"command": "sh", "args": ["-c", "cat >/dev/null"]}`}
	for i := range 9 {
		entries = append(entries, entryOf(fmt.Sprintf("s%d", i), ""))
	}
	base, _ := startSeveral(t, entries, "--admin-listen", admin,
		"--list-time", "15s", "--start-time", "10m", "--drain-time", "5s")
	var before, after map[string]int
	var tools []string
	begun := time.Now()
	tick := time.NewTicker(300 * time.Millisecond) // what starts has the machine meanwhile
	defer tick.Stop()
	for n := 1; ; n++ {
		before = childrenStarted(t, admin)
		tools = visit(t, base, "2025-11-25").tools()
		after = childrenStarted(t, admin)
		if n > 3 && maps.Equal(before, after) && saysOf(tools) == 9 {
			break
		}
		if time.Since(begun) > 90*time.Second {
			t.Fatalf("session %d started children: before %v, after %v; it was told %q", n, before, after, tools)
		}
		<-tick.C
	}
	tries := 2 + int(time.Since(begun)/time.Minute) // the bridge's own, the first session's, and one in a minute
	if after["deaf"] < 1 || after["deaf"] > tries {
		t.Errorf("the one that hangs was tried more than %d times, or never: %v", tries, after)
	}
	v := visit(t, base, "2025-11-25")
	again := v.tools()
	if !slices.Equal(again, tools) {
		t.Errorf("listed %q, then %q", tools, again)
	}
	if got := v.says("s4__say", "hello"); !strings.HasPrefix(got, "s4 says hello ") {
		t.Errorf("say: %q", got)
	}
	if at := childrenStarted(t, admin); at["s4"] != after["s4"]+1 {
		t.Errorf("the call started no child: before %v, after %v", after, at)
	}
}

// saysOf counts the servers whose tool say is there.
func saysOf(tools []string) (n int) {
	for _, name := range tools {
		if strings.HasSuffix(name, "__say") {
			n++
		}
	}
	return n
}

// TestOneThatComesLateIsTold: a server that comes after the list's time is
// started by one session alone. The others hear of it, also where that one has
// left before, and again when their own has come, which is as late.
func TestOneThatComesLateIsTold(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		t.Run(fmt.Sprintf("who started it leaves: %v", leaves), func(t *testing.T) {
			gate := filepath.Join(t.TempDir(), "gate")
			late := fmt.Sprintf(`"late": {"command": "sh", "args": ["-c", "until [ -e %s ]; do sleep 0.1; done; sleep 1; exec %s"],
				"env": {%q: "1", %q: "late"}, "gatehouse": {"sandbox": "off"}}`, gate, os.Args[0], childMode, severalMode)
			base, _ := startSeveral(t, []string{entryOf("a", ""), late},
				"--list-time", "500ms", "--start-time", "10m", "--drain-time", "5s")
			first := visit(t, base, "2025-11-25")
			second := visit(t, base, "2025-11-25")
			first.tools()
			if saysOf(second.tools()) > 1 {
				t.Fatal("it is there too early")
			}
			if leaves {
				_ = first.Close()
			}
			if err := os.WriteFile(gate, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for saysOf(second.tools()) < 2 {
				second.hears("tools changed")
			}
		})
	}
}
