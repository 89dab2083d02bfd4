//go:build unix

package audit_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/audit"
)

// TestRecipes runs the recipes of deploy/logs on a log that the sink wrote.
func TestRecipes(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	s := open(t, log, nil)
	day := func(n int) time.Time {
		return time.Now().Add(-time.Duration(n) * 24 * time.Hour).In(time.FixedZone("east", 9*3600))
	}
	for _, r := range []audit.Record{
		{Time: day(1), User: "u-1", UserEmail: "alice@example.com", Tool: "send_message", Outcome: "ok", Millis: 30, Server: "slack"},
		{Time: day(2), User: "u-1", UserEmail: "alice@example.com", Tool: "send_message", Outcome: "ok", Millis: 10, Server: "slack"},
		{Time: day(3), User: "u-2", UserEmail: "bob@example.com", Tool: "send_message", Outcome: "missing_scope", Rule: "writers", Server: "slack"},
		{Time: day(8), User: "u-3", UserEmail: "old@example.com", Tool: "send_message", Outcome: "ok", Millis: 900, Server: "slack"},
		{Time: day(1), User: "u-1", Tool: "list", Outcome: "ok", Millis: 200, Server: "slack"},
		{Time: day(1), User: "u-2", Tool: "rm", Outcome: "denied", Rule: "default", Server: "slack"},
		{Time: day(1), User: "u-1", Tool: "rm", Outcome: "denied", Rule: "default", Server: "slack"},
	} {
		r.Program, r.Method = "bridge", "tools/call"
		s.Write(&r)
	}
	s.Close()
	for recipe, tc := range map[string]struct {
		args []string
		want string
	}{
		"callers":  {[]string{"--arg", "tool", "send_message"}, "u-1\talice@example.com\t2\t0\nu-2\tbob@example.com\t1\t1\n"},
		"slowest":  {nil, "slack\tsend_message\t3\t900\nslack\tlist\t1\t200\n"},
		"refusals": {nil, "default\tdenied\t2\t2\nwriters\tmissing_scope\t1\t1\n"},
	} {
		file := filepath.Join("../../../deploy/logs", recipe+".jq")
		args := append([]string{"-rsf", file}, append(tc.args, log)...)
		out, err := exec.CommandContext(t.Context(), "jq", args...).CombinedOutput()
		if err != nil || string(out) != tc.want {
			t.Errorf("%s: %v\n%swant\n%s", recipe, err, out, strings.TrimSpace(tc.want))
		}
	}
}
