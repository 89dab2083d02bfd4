package stack

import (
	"os"
	"path/filepath"
	"testing"
)

// A copy of Keycloak shares its libraries with the original and nothing else: what
// a start writes into it stays there.
func TestACopySharesOnlyLibraries(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	files := map[string]os.FileMode{
		"bin/kc.sh": 0o755, "lib/lib/main/big.jar": 0o644, "lib/quarkus/made.jar": 0o644, "data/h2/db": 0o600,
	}
	for name, mode := range files {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyKeycloak(to, from); err != nil {
		t.Fatal(err)
	}
	for name, mode := range files {
		copied, err := os.Stat(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		original, err := os.Stat(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if copied.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", name, copied.Mode().Perm(), mode)
		}
		if library := filepath.Ext(name) == ".jar" && filepath.Base(filepath.Dir(name)) == "main"; os.SameFile(copied, original) != library {
			t.Errorf("%s: shared is %v, want %v", name, !library, library)
		}
		if text, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(text) != name {
			t.Errorf("%s holds %q: %v", name, text, err)
		}
	}
}
