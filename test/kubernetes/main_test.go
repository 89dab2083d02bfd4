package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where a controller ends TLS, nginx takes its word on a client's address: nobody
// else may reach nginx, and the check says so where somebody may.
func TestOnlyTheControllerReachesNginx(t *testing.T) {
	for _, way := range []string{"ingress-ended", "gateway-ended"} {
		if _, err := check(way); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		dir := t.TempDir()
		for name, from := range map[string]string{
			"test/kubernetes/" + way: way, "deploy/kubernetes": "../../deploy/kubernetes",
		} {
			if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "deploy/kubernetes/components", way, "kustomization.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		open := strings.Replace(string(text), "patches: [{path: network.yaml}]\n", "", 1)
		if err := os.WriteFile(file, []byte(open), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := check(filepath.Join(dir, "test/kubernetes", way)); err == nil ||
			!strings.Contains(err.Error(), "lets everybody in") {
			t.Errorf("%s without its policy: %v", way, err)
		}
	}
}
