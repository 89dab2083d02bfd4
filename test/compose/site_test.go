// Package compose tests docker-compose.yml. What is here needs no engine; with
// the tag compose it tests the running gate that run.sh has brought up.
package compose

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// names are what the pattern's group finds in a text, each once.
func names(text, pattern string) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// The image lays its values over nginx/site: one whose file nginx no longer
// reads would be lost without a word.
func TestSiteOverridesFilesThatExist(t *testing.T) {
	site := os.DirFS(filepath.Join(root, "deploy/images/site"))
	err := fs.WalkDir(site, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == "server" { // site/server holds optional parts
			return err
		}
		_, err = os.Stat(filepath.Join(root, "nginx/site", path))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSiteMakesEveryVariable(t *testing.T) {
	const made = `(?m)^map \S+ (\$gatehouse_\w+)`
	ours := names(read(t, "deploy/images/site/upstreams.conf"), made)
	for variable := range names(read(t, "nginx/site/upstreams.conf"), made) {
		if !ours[variable] {
			t.Errorf("deploy/images/site/upstreams.conf makes no %s", variable)
		}
	}
}

func TestEnvExampleNamesEveryValue(t *testing.T) {
	read, named := names(
		read(t, "docker-compose.yml")+read(t, "deploy/compose/existing-keycloak.yml")+
			read(t, "deploy/compose/credentials.yml"),
		`\$\{([A-Z_]+)`,
	), names(
		read(t, ".env.example"),
		`(?m)^#? ?([A-Z_]+)=`,
	)
	for name := range read {
		if !named[name] {
			t.Errorf(".env.example does not name %s", name)
		}
	}
	for name := range named {
		if !read[name] && name != "COMPOSE_FILE" { // Compose's own
			t.Errorf(".env.example names %s, which no compose file reads", name)
		}
	}
	if len(read) < 5 {
		t.Fatalf("docker-compose.yml reads %v; the pattern sees too little", read)
	}
}

func TestEnvCheckWarns(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o644: true, 0o640: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "env-check", "ENV_FILE="+file)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "chmod 600") != warns {
			t.Errorf("mode %o: %v, %q; want a warning: %v", mode, err, out, warns)
		}
	}
}
