package rules_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/test/reference"
)

const top = "../../" // of the repository

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(top + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestNginxSite: docs/reference/nginx-site.md holds each file of nginx/site as
// it is shipped.
func TestNginxSite(t *testing.T) {
	files, err := filepath.Glob(top + "nginx/site/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of nginx/site: %v", err)
	}
	var page strings.Builder
	for _, file := range files {
		text := read(t, strings.TrimPrefix(file, top))
		name := filepath.Base(file)
		if !strings.HasPrefix(text, "# ") {
			t.Errorf("nginx/site/%s: say in its first lines what it is for", name)
		}
		fmt.Fprintf(&page, "\n## %s\n\n```nginx\n%s\n```\n", name, strings.TrimSpace(text))
	}
	reference.Hold(t, "nginx-site.md", "files", page.String())
}

// TestAuditFields: docs/reference/audit.md has the fields of all three logs, from
// where they are written.
func TestAuditFields(t *testing.T) {
	field := regexp.MustCompile(`(?m)^    '"(\w+)":.*?'\s+# (.+)$`)
	table := reference.Table("field", "what it is")
	log := read(t, "nginx/gatehouse/http/log.conf")
	found := field.FindAllStringSubmatch(log, -1)
	for _, m := range found {
		table += reference.Row(reference.Code(m[1]), m[2])
	}
	if all := strings.Count(log, `    '"`); all < 10 || all != len(found) {
		t.Errorf("%d fields of %d have a comment behind them in nginx/gatehouse/http/log.conf", len(found), all)
	}
	reference.Hold(t, "audit.md", "nginx", table)
	reference.Hold(t, "audit.md", "bridge",
		reference.FieldTable(reference.Fields(t, top+"bridge/internal/audit/audit.go", "Record")))
	reference.Hold(t, "audit.md", "authsvc",
		reference.FieldTable(reference.Fields(t, top+"authsvc/internal/auditlog/auditlog.go", "Line")))
}

// TestErrors: docs/reference/errors.md has a row for each code and each status
// that the programs answer with, and none that they do not.
func TestErrors(t *testing.T) {
	page := read(t, "docs/reference/errors.md")
	want := reference.Constants(t, top+"bridge/internal/rpc/error.go", "Code")
	for _, file := range sources(t, "bridge/internal") {
		for code, name := range reference.Constants(t, file, "Code") {
			want[code] = name
		}
	}
	rowsAre(t, page, `-32\d{3}`, want)

	statuses := map[string]string{}
	named := regexp.MustCompile(`http\.Status([A-Z]\w+)`)
	numbers := map[string]int{}
	for n := 400; n < 600; n++ {
		numbers[strings.NewReplacer(" ", "", "-", "", "'", "").Replace(http.StatusText(n))] = n
	}
	for _, dir := range []string{"bridge", "authsvc", "internal/httpkit"} { // what they answer, not what they hear
		for _, file := range sources(t, dir) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range named.FindAllStringSubmatch(string(raw), -1) {
				if n, is := numbers[m[1]]; is {
					statuses[fmt.Sprint(n)] = file
				}
			}
		}
	}
	answers := regexp.MustCompile(`(?:return |\[)(4\d\d|5\d\d)[ \]]`)
	nginx := read(t, "nginx/gatehouse/server/refusals.conf") + read(t, "nginx/gatehouse/server/unknown_host.conf") +
		read(t, "nginx/gatehouse/location/refusals.conf") + read(t, "lua/gatehouse/reject.lua")
	for _, m := range answers.FindAllStringSubmatch(nginx, -1) {
		statuses[m[1]] = "nginx"
	}
	rowsAre(t, page, `[45]\d\d`, statuses)
}

// rowsAre compares the rows of the page that begin with such a code.
func rowsAre(t *testing.T, page, pattern string, want map[string]string) {
	t.Helper()
	have := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `("+pattern+")` ").FindAllStringSubmatch(page, -1) {
		have[m[1]] = true
		if want[m[1]] == "" {
			t.Errorf("docs/reference/errors.md has a row for %s, with which nothing answers", m[1])
		}
	}
	for code, where := range want {
		if !have[code] {
			t.Errorf("docs/reference/errors.md has no row for %s (%s): say what it means and what to do", code, where)
		}
	}
}

// TestVariables: docs/reference/variables.md names what the programs read of
// their environment beside their flags.
func TestVariables(t *testing.T) {
	page := read(t, "docs/reference/variables.md")
	asked := regexp.MustCompile(`(?:os\.)?(?:Getenv|LookupEnv|getenv|env)\("([A-Z][A-Z_]+)"\)`)
	names := 0
	for _, dir := range []string{"bridge", "authsvc", "internal", "deploy/check", "test/doctor"} {
		for _, file := range sources(t, dir) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range asked.FindAllStringSubmatch(string(raw), -1) {
				names++
				if !strings.Contains(page, "`"+m[1]+"`") {
					t.Errorf("docs/reference/variables.md does not name %s, which %s reads", m[1], file)
				}
			}
		}
	}
	if names < 3 {
		t.Errorf("%d variables found: looking in the wrong place", names)
	}
}

// sources are the programs' own files below a folder: no tests and nothing that
// only tests link.
func sources(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(top+dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasSuffix(d.Name(), "test") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}
