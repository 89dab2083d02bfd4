package page

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEachCatalogueHasTheSameTexts, with the same arguments: whoever adds a
// language learns here what lacks.
func TestEachCatalogueHasTheSameTexts(t *testing.T) {
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	verbs := regexp.MustCompile(`%(?:\[\d\])?[a-z]`)
	for tag, texts := range all {
		for name, text := range all[fallback] {
			want := verbs.FindAllString(text, -1)
			if got := verbs.FindAllString(texts[name], -1); texts[name] == "" || len(got) != len(want) {
				t.Errorf("text/%s.json: %q is %q, want a text with %v", tag, name, texts[name], want)
			}
		}
		for name := range texts {
			if all[fallback][name] == "" {
				t.Errorf("text/%s.json: %q is a text that nothing shows", tag, name)
			}
		}
	}
}

// TestNoTextStandsOutsideTheCatalogue: what is left of the templates without
// their actions and tags has no letters but the name, and each text that is
// asked for is there.
func TestNoTextStandsOutsideTheCatalogue(t *testing.T) {
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	actions, tags := regexp.MustCompile(`(?s)\{\{.*?\}\}`), regexp.MustCompile(`(?s)<.*?>`)
	labels := regexp.MustCompile(`(?:aria-label|title|placeholder|alt)="([^"]*)"`)
	asked := regexp.MustCompile(`\bt "([a-z.-]+)"`)
	names, err := filepath.Glob("html/*.html")
	if err != nil || len(names) < 4 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asked.FindAllStringSubmatch(string(text), -1) {
			if all[fallback][m[1]] == "" {
				t.Errorf("%s asks for %q, which no catalogue has", name, m[1])
			}
		}
		plain := actions.ReplaceAllString(string(text), "")
		for _, m := range labels.FindAllStringSubmatch(plain, -1) {
			plain += " " + m[1]
		}
		for _, word := range regexp.MustCompile(`\pL{2,}`).FindAllString(outsideCode(tags.ReplaceAllString(plain, " ")), -1) {
			if word != "gatehouse" {
				t.Errorf("%s: %q stands outside the catalogue", name, word)
			}
		}
	}
}

// outsideCode leaves out the lines of a shell, which have no language.
func outsideCode(text string) string {
	return regexp.MustCompile(`(?m)^\s*(?:export|setx) .*$`).ReplaceAllString(text, "")
}

// TestWhatHandlersSayIsInTheCatalogue looks at the source of all that writes a
// page.
func TestWhatHandlersSayIsInTheCatalogue(t *testing.T) {
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	sources, _ := filepath.Glob("../*/*.go")
	problem := regexp.MustCompile(`problem\.Name(?:, problem\.Args)? = "([a-z-]+)"|Name: +"([a-z-]+)", (?:Args|Action)`)
	action := regexp.MustCompile(`Action: +"([a-z.]+)"`)
	seen := 0
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range problem.FindAllStringSubmatch(string(text), -1) {
			seen++
			for _, part := range []string{".title", ".text"} {
				if all[fallback]["problem."+m[1]+m[2]+part] == "" {
					t.Errorf("%s names %q, of which no catalogue has the %s", name, m[1]+m[2], part)
				}
			}
		}
		for _, m := range action.FindAllStringSubmatch(string(text), -1) {
			if all[fallback][m[1]] == "" {
				t.Errorf("%s names %q, which no catalogue has", name, m[1])
			}
		}
	}
	if seen < 9 {
		t.Errorf("%d problems are named: does this test still see them?", seen)
	}
}

func TestTheLanguageIsThePersons(t *testing.T) {
	p, err := New("https://sso.example.com", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ accept, cookie, query, want string }{
		{"", "", "", "en"},
		{"ko-KR,ko;q=0.9,en-US;q=0.8", "", "", "ko"},
		{"fr, en;q=0.3, ko;q=0.5", "", "", "ko"},
		{"ko;q=0", "", "", "en"},
		{"ko;q=nonsense, en", "", "", "en"},
		{strings.Repeat("x,", 10000) + "ko", "", "", "en"},
		{"en", "ko", "", "ko"},
		{"ko", "../../etc", "", "ko"},
		{"en", "en", "ko", "ko"},
		{"en", "", "xx", "en"},
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/?lang="+c.query, nil), httptest.NewRecorder()
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: languageCookie, Value: c.cookie})
		}
		if err := p.Write(w, r, http.StatusOK, "signedout", nil); err != nil {
			t.Fatal(err)
		}
		set := w.Header().Get("Set-Cookie")
		if got := w.Header().Get("Content-Language"); got != c.want || !strings.Contains(w.Body.String(), `<html lang="`+got) {
			t.Errorf("%+v: %q", c, got)
		}
		if asked := c.query == c.want; (set != "") != asked {
			t.Errorf("%+v: Set-Cookie %q", c, set)
		}
	}
}

func TestTheScriptIsTheOneThatThePolicyNames(t *testing.T) {
	p, err := New("https://sso.example.com", "")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.Write(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, "signedout", nil); err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile(`(?s)<script>(.*)</script>`).FindStringSubmatch(w.Body.String())
	if script == nil || !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src '"+hashOf(script[1])+"'") {
		t.Errorf("the policy %q does not let the page's script in", w.Header().Get("Content-Security-Policy"))
	}
}

func TestTimesAreSaidInWords(t *testing.T) {
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	for ago, want := range map[time.Duration][]string{
		-time.Minute: {"just now", "방금"}, time.Second: {"just now", "방금"}, time.Minute: {"1 minute ago", "1분 전"},
		119 * time.Minute: {"1 hour ago", "1시간 전"}, 50 * time.Hour: {"2 days ago", "2일 전"},
	} {
		if got := []string{all["en"].ago(ago), all["ko"].ago(ago)}; !slices.Equal(got, want) {
			t.Errorf("%s ago is %q, want %q", ago, got, want)
		}
	}
}
