//go:build compose

package compose

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The lines of docs/backup.md: what was in the gate is there again after it
// was all taken away.
func TestBackupAndRestore(t *testing.T) {
	gate := attach(t)
	if err := gate.Admin(t.Context(), http.MethodPost, "/roles", map[string]any{"name": "kept"}, nil); err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(read(t, "docs/backup.md"), "## The compose file\n")
	blocks := strings.Split(page, "```\n")
	if len(blocks) != 5 {
		t.Fatalf("docs/backup.md has %d pieces; want a block that saves and one that restores", len(blocks))
	}
	t.Setenv("BACKUP", t.TempDir())
	shell(t, blocks[1])
	compose(t, "down", "--volumes")
	begin := time.Now()
	shell(t, blocks[3])
	t.Logf("restored in %.0f s", time.Since(begin).Seconds())
	if err := gate.Admin(t.Context(), http.MethodGet, "/roles/kept", nil, nil); err != nil {
		t.Errorf("what was made before the backup: %v", err)
	}
	session(t, gate)
}

// shell runs lines of the docs, and returns what they print; docker compose is the
// one that run.sh names.
func shell(t *testing.T, lines string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	const compose = `docker() { if [ "$1" = compose ]; then shift; "$GATEHOUSE_PARTS" "$@"; ` +
		`else command docker "$@"; fi; }` + "\nset -e\n"
	cmd := exec.CommandContext(ctx, "sh", "-c", compose+lines)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", lines, err, out)
	}
	return string(out)
}
