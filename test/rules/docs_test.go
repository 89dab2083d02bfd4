package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link       = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	makeTarget = regexp.MustCompile("(?m)(?:^|`|&& )make ([a-z][a-z0-9-]*)")
	target     = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

// What the pages name must be there: files that they link to, targets that
// they tell one to make.
func TestDocsNameWhatExists(t *testing.T) {
	targets := map[string]bool{}
	for _, pattern := range []string{"Makefile", "mk/*.mk"} {
		for _, file := range glob(t, pattern) {
			for _, found := range target.FindAllStringSubmatch(text(t, file), -1) {
				targets[found[1]] = true
			}
		}
	}
	pages := append(glob(t, "*.md"), docs(t)...)
	if len(pages) < 5 || !targets["run"] {
		t.Fatalf("%d pages and %d targets: looking in the wrong place", len(pages), len(targets))
	}
	for _, page := range pages {
		content := text(t, page)
		for _, found := range link.FindAllStringSubmatch(content, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), found[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, found[1])
			}
		}
		for _, found := range makeTarget.FindAllStringSubmatch(content, -1) {
			if !targets[found[1]] {
				t.Errorf("%s says make %s, and no such target is there", page, found[1])
			}
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", pattern))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// docs are the pages, those in folders too.
func docs(t *testing.T) []string {
	t.Helper()
	return append(glob(t, "docs/*.md"), glob(t, "docs/*/*.md")...)
}

func text(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r", "")
}

// Each direct dependency is named in docs/dependencies.md, and none that is gone.
func TestDependenciesAreNamed(t *testing.T) {
	page := text(t, filepath.Join("..", "..", "docs", "dependencies.md"))
	direct := map[string]bool{}
	for _, line := range list(t, "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all") {
		direct[line] = true
		if !regexp.MustCompile(regexp.QuoteMeta(line) + `[ ,|]`).MatchString(page) {
			t.Errorf("docs/dependencies.md does not name %s", line)
		}
	}
	for _, named := range regexp.MustCompile(`[a-z.]+\.[a-z]+/[A-Za-z0-9./_-]+`).FindAllString(page, -1) {
		if !direct[named] {
			t.Errorf("docs/dependencies.md names %s, which go.mod does not require directly", named)
		}
	}
}

// NOTICE names every module that the programs link, since its licence asks for it.
func TestNoticeNamesWhatIsLinked(t *testing.T) {
	notice := text(t, "../../NOTICE")
	programs := []string{"./bridge", "./authsvc", "./deploy/demo", "./deploy/check", "./test/doctor"}
	for _, path := range list(t, append([]string{
		"-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}",
	}, programs...)...) {
		if !strings.Contains(notice, "\n"+path+" ") {
			t.Errorf("NOTICE does not name %s; add it with its licence", path)
		}
	}
}

var (
	anchored = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names under which a page's headings can be linked, as the
// hosts of repositories make them.
func anchors(t *testing.T, file string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text(t, file), -1) {
		found[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// Every link of a page leads to a file that is there, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range append(docs(t), glob(t, "*.md")...) {
		for _, m := range anchored.FindAllStringSubmatch(text(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s leads to no file", page, m[1])
				continue
			}
			if anchor != "" && !anchors(t, file)[anchor] {
				t.Errorf("%s: %s names no heading", page, m[1])
			}
		}
	}
}

// A stranger finds every page in one click: docs/README.md links each, and
// README.md links docs/README.md.
func TestEveryPageIsOneClickAway(t *testing.T) {
	index := filepath.Join("..", "..", "docs", "README.md")
	linked := map[string]bool{index: true}
	for _, m := range anchored.FindAllStringSubmatch(text(t, index), -1) {
		target, _, _ := strings.Cut(m[1], "#")
		linked[filepath.Join(filepath.Dir(index), target)] = true
	}
	for _, page := range docs(t) {
		if !linked[filepath.Clean(page)] {
			t.Errorf("docs/README.md does not link %s; put it where a reader looks for it", page)
		}
	}
	if !strings.Contains(text(t, filepath.Join("..", "..", "README.md")), "](docs/README.md)") {
		t.Error("README.md does not link docs/README.md")
	}
}

// docs/README.md answers thirty questions, each by a link.
func TestThirtyQuestionsHaveAnAnswer(t *testing.T) {
	page := text(t, filepath.Join("..", "..", "docs", "README.md"))
	for n := range 30 {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^%d\. \[.+\]\(.+#.+\)`, n+1)).MatchString(page) {
			t.Errorf("question %d has no link to a heading", n+1)
		}
	}
}

// A client of README.md has a page, and the page the same row of what was tried.
func TestClientsHavePages(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| \[([^\]]+)\]\((docs/clients/[a-z-]+\.md)\) (\|.+\|)$`)
	found := row.FindAllStringSubmatch(text(t, filepath.Join("..", "..", "README.md")), -1)
	if len(found) < 15 {
		t.Fatalf("README.md has %d clients in its table", len(found))
	}
	korean := row.FindAllStringSubmatch(text(t, filepath.Join("..", "..", "README.ko.md")), -1)
	says := strings.NewReplacer("not tried here", "시험 안 함", "registration", "등록만", "yes", "됨",
		"noticed", "알아챔", "| any", "| 아무 판", "this one", "이 저장소")
	for i, m := range found {
		if i >= len(korean) || korean[i][2] != m[2] || korean[i][3] != says.Replace(m[3]) {
			t.Errorf("README.ko.md has not the row of README.md for %s: %s", m[1], says.Replace(m[3]))
		}
	}
	paged := map[string]bool{"docs/clients/README.md": true}
	for _, m := range found {
		paged[m[2]] = true
		page := text(t, filepath.Join("..", "..", m[2]))
		if !strings.Contains(page, "\n"+m[3]+"\n") && !strings.Contains(page, "\n| "+m[1]+" "+m[3]+"\n") {
			t.Errorf("%s has not the row of README.md for %s: %s", m[2], m[1], m[3])
		}
	}
	for _, page := range glob(t, "docs/clients/*.md") {
		if name := strings.TrimPrefix(filepath.ToSlash(page), "../../"); !paged[name] {
			t.Errorf("README.md has no row for %s", name)
		}
	}
	// A version that a page names is one that a test drives.
	driven := text(t, filepath.Join("..", "..", "test", "e2e", "clients_test.go"))
	for _, file := range glob(t, "mk/*.mk") {
		driven += text(t, file)
	}
	for _, m := range found {
		version, _, _ := strings.Cut(strings.TrimPrefix(m[3], "| "), " |")
		if regexp.MustCompile(`^\d`).MatchString(version) && !strings.Contains(driven, version) {
			t.Errorf("README.md says that version %s of %s was tried; no test names it", version, m[1])
		}
	}
}

// What the Korean guide types as tried stands in docs/production.md, whose lines
// make production-test runs.
func TestTheGuideTypesWhatIsTried(t *testing.T) {
	tried := map[string]bool{}
	for line := range strings.Lines(text(t, filepath.Join("..", "..", "docs", "production.md"))) {
		tried[strings.TrimSpace(line)] = true
	}
	typed := 0
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)\n```").FindAllStringSubmatch(
		text(t, filepath.Join("..", "..", "docs", "guide.ko.md")), -1) {
		for line := range strings.Lines(block[1]) {
			typed++
			if !tried[strings.TrimSpace(line)] {
				t.Errorf("docs/guide.ko.md types %q, which docs/production.md does not", strings.TrimSpace(line))
			}
		}
	}
	if typed < 15 {
		t.Errorf("%d lines found: looking in the wrong place", typed)
	}
}

// What make field-test types at a program stands on the program's page.
func TestClientPagesSayWhatIsTyped(t *testing.T) {
	field := text(t, filepath.Join("..", "..", "test", "e2e", "field_test.go"))
	body, _, _ := strings.Cut(field[strings.Index(field, "func programs("):], "\n}\n")
	given := text(t, filepath.Join("..", "..", "test", "e2e", "field_token_test.go"))
	body += given[strings.Index(given, "func agents("):]
	pages := ""
	for _, page := range glob(t, "docs/clients/*.md") {
		pages += text(t, page)
	}
	word := regexp.MustCompile(`"([^"]*)"|\b(url|bearer)\b`)
	typed := 0
	for _, m := range regexp.MustCompile(`(?:add|login|token): +\[\]string\{([^}]*)\}`).FindAllStringSubmatch(body, -1) {
		var words []string
		for _, w := range word.FindAllStringSubmatch(m[1], -1) {
			words = append(words, w[1]+w[2])
		}
		line := strings.Join(words, " ")
		line = strings.TrimSuffix(strings.TrimPrefix(line, "script -qec "), " /dev/null") // a terminal for it
		line = regexp.MustCompile(`\bgate\b`).ReplaceAllString(line, "gatehouse")
		line = regexp.MustCompile(`\burl\b$|\burl (--)`).ReplaceAllString(line, "https://mcp.example.com/mcp $1")
		line = regexp.MustCompile(`\bbearer$`).ReplaceAllString(line, `"Authorization: Bearer $$KEY"`)
		line = strings.TrimSpace(strings.Replace(line, "mcp-inspector", "@modelcontextprotocol/inspector", 1))
		typed++
		if !strings.Contains(pages, line) {
			t.Errorf("no page of docs/clients says %q, which make field-test types", line)
		}
	}
	if typed < 9 {
		t.Errorf("%d lines found: looking in the wrong place", typed)
	}
}
