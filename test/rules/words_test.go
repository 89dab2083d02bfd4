package rules_test

import (
	"regexp"
	"strings"
	"testing"
)

// A reader of these pages has to understand a sentence at the first reading. Its
// length is what a test can see of that.
const longestSentence = 35 // words

var (
	fenced    = regexp.MustCompile("(?s)```.*?```|<!--.*?-->")
	paragraph = regexp.MustCompile(`\n\s*\n|\n\s*(?:-|\d+\.) `)
	sentence  = regexp.MustCompile(`[.!?:;](?:\s|$)`)
)

// prose is a page without its blocks, tables and headings, as sentences.
func prose(page string) (all []string) {
	var kept []string
	for line := range strings.SplitSeq(fenced.ReplaceAllString(page, ""), "\n") {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "|") && !strings.HasPrefix(trimmed, "#") {
			kept = append(kept, line)
		}
	}
	for _, text := range paragraph.Split(strings.Join(kept, "\n"), -1) {
		all = append(all, sentence.Split(text, -1)...)
	}
	return all
}

func TestSentencesAreShort(t *testing.T) {
	pages := append(docs(t), glob(t, "*.md")...)
	seen := 0
	for _, page := range pages {
		if strings.HasSuffix(page, "benchmarks.md") { // made by make bench
			continue
		}
		for _, text := range prose(text(t, page)) {
			seen++
			if words := len(strings.Fields(text)); words > longestSentence {
				t.Errorf("%s: a sentence of %d words, at most %d are read at once; make two of it:\n%s",
					page, words, longestSentence, strings.Join(strings.Fields(text), " "))
			}
		}
	}
	if seen < 500 {
		t.Errorf("%d sentences found: looking in the wrong place", seen)
	}
}

// These sentences were found unreadable; none comes back.
func TestRiddlesStayAway(t *testing.T) {
	for _, page := range append(docs(t), glob(t, "*.md")...) {
		said := strings.Join(strings.Fields(text(t, page)), " ")
		for _, riddle := range []string{
			"cannot be told from one that", "(no user, no entry)", "two lives of a verdict", "bound to nothing or",
			"which the guide turns on",
		} {
			if strings.Contains(said, riddle) {
				t.Errorf("%s says %q, which nobody understands at the first reading", page, riddle)
			}
		}
	}
}
