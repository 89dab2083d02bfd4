package policy

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/test/work"
)

// TestGlobsMatchAsTheirRegexps holds the matcher against one that is slow and
// plain.
func TestGlobsMatchAsTheirRegexps(t *testing.T) {
	plain := regexp.MustCompile(`\*+|[^*]+`)
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab/*]{1,12}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab/]{0,16}`).Draw(t, "name")
		slashes := rapid.Bool().Draw(t, "slashes")
		g, err := compileGlob(pattern, slashes)
		if err != nil {
			t.Skip("too many stars")
		}
		want := plain.ReplaceAllStringFunc(pattern, func(part string) string {
			switch {
			case part[0] != '*':
				return regexp.QuoteMeta(part)
			case slashes && len(part) == 1:
				return `[^/]*`
			}
			return `.*`
		})
		if got := g.match(name); got != regexp.MustCompile("^(?:"+want+")$").MatchString(name) {
			t.Errorf("%q matches %q: %v", pattern, name, got)
		}
	})
}

// TestAHostileNameCostsLittle: the name is the client's.
func TestAHostileNameCostsLittle(t *testing.T) {
	for _, pattern := range []string{"*a*a*a*a*a*a*a*b", "**a*a*b*a", "**/a*a*b", "**a**a*c/**b"} {
		g, err := compileGlob(pattern, true)
		if err != nil {
			t.Fatal(err)
		}
		took := work.Of(func() {
			for _, name := range []string{
				strings.Repeat("a", 1<<20), strings.Repeat("/a", 1<<19), strings.Repeat("a", 1<<20) + "/b/",
			} {
				if g.match(name) {
					t.Errorf("%q matches", pattern)
				}
			}
		})
		if took > 2*time.Second {
			t.Errorf("%q took %v of a processor", pattern, took)
		}
	}
}
