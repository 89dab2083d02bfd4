package bridge_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// No core of the bridge is written, wherever it runs: its memory holds secrets.
func TestNoCoreOfTheBridge(t *testing.T) {
	b := start(t)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", b.cmd.Process.Pid))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("%v, the bridge's limits are\n%s", err, limits)
	}
}
