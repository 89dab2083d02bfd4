package credential

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A client's secret that is named without a path lies beside the file.
func TestSecretBesideTheFile(t *testing.T) {
	const entry = `{"name": "%s", "kind": "oauth", "authorize": "https://p/a", "token": "https://p/t", "client_id": "c",
		"client_secret_file": "%s"}`
	dir := t.TempDir()
	file := filepath.Join(dir, "c.json")
	text := fmt.Sprintf(`{"credentials": [`+entry+`,`+entry+`]}`, "a", "a-secret", "b", "/run/b-secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := entries[0].ClientSecretFile, entries[1].ClientSecretFile; a != filepath.Join(dir, "a-secret") ||
		b != "/run/b-secret" {
		t.Errorf("the secrets lie at %s and %s", a, b)
	}
}

// A file that cannot mean what it says stops the start, with the field and the
// way out.
func TestFilesOfCredentials(t *testing.T) {
	const oauth = `"kind": "oauth", "client_id": "c", "token": "https://p/token"`
	for text, says := range map[string]string{
		`{"credentials": [{"name": "a", "kind": "entered", "help": "h", "keep": "24h"}]}`:              "",
		`{"credentials": [{"name": "a", ` + oauth + `, "authorize": "https://p/a", "scopes": ["s"]}]}`: "",
		`{"credentials": [{"name": "a", "kind": "exchange", "audience": "x"}]}`:                        "",
		`{"credentials": [{"name": "a", "kind": "linked", "provider": "github"}]}`:                     "",
		`{"credentials": []}`: "name at least one",
		`{"credentials": [{"name": "A", "kind": "entered"}]}`:                                                       "lower-case",
		`{"credentials": [{"name": "a", "kind": "magic"}]}`:                                                         "want entered, oauth",
		`{"credentials": [{"name": "a", "kind": "entered", "value": "x"}]}`:                                         "value",
		`{"credentials": [{"name": "a", "kind": "entered"}, {"name": "a", "kind": "entered"}]}`:                     "twice",
		`{"credentials": [{"name": "a", "kind": "exchange"}]}`:                                                      "audience is missing",
		`{"credentials": [{"name": "a", "kind": "entered", "audience": "x"}]}`:                                      "audience is not for kind entered",
		`{"credentials": [{"name": "a", ` + oauth + `, "authorize": "http://p/a"}]}`:                                "want an https URL",
		`{"credentials": [{"name": "a", ` + oauth + `, "authorize": "https://p/a", "scopes": ["a b"]}]}`:            "list each by itself",
		`{"credentials": [{"name": "a", "kind": "entered", "keep": "1m"}]}`:                                         "1h at least",
		`{"credentials": [{"name": "a", ` + oauth + `, "authorize": "http://127.0.0.1:1/a", "revoke": "ftp://p"}]}`: "revoke",
	} {
		file := filepath.Join(t.TempDir(), "c.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(file)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
