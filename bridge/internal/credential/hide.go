package credential

import (
	"slices"
	"strings"
	"time"
)

// former is a credential that a child had: it may say it yet, and until its end
// it opens what it opened.
type former struct {
	secret string
	until  time.Time // zero where it has no end that is known
}

const (
	maxFormer = 8 // of those without a known end; a user replaces few while a child lives
	leastLine = 8 // bytes of a secret's line by which it is known
	hidden    = "[credential]"
)

// keep remembers a secret that is to be hidden yet. The lock is held.
func (l *Loan) keep(secret string, until time.Time) {
	if secret == "" {
		return
	}
	now := time.Now()
	l.former = slices.DeleteFunc(l.former, func(f former) bool {
		return f.secret == secret || !f.until.IsZero() && f.until.Before(now)
	})
	if len(l.former) == maxFormer {
		l.former = slices.Delete(l.former, 0, 1)
	}
	l.former = append(l.former, former{secret, until})
}

// Hide takes the child's credentials, the one that it has and those that it had,
// out of what it says. Where more of the line is to come, rest may be the
// beginning of one.
func (l *Loan) Hide(text string, more bool) (shown, rest string) {
	words := l.words()
	for _, word := range words {
		text = strings.ReplaceAll(text, word, hidden)
	}
	if !more {
		return text, ""
	}
	most := 0
	for _, word := range words {
		most = max(most, begun(text, word))
	}
	return text[:len(text)-most], text[len(text)-most:]
}

// words are what is hidden, the longest first: one may be a part of another. A
// child says a secret of several lines line by line.
func (l *Loan) words() (words []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add := func(secret string) {
		for line := range strings.Lines(secret) {
			line = strings.TrimSpace(line)
			if len(line) >= leastLine || line != "" && line == strings.TrimSpace(secret) {
				words = append(words, line)
			}
		}
	}
	add(l.secret)
	for _, f := range l.former {
		add(f.secret)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(words)
}

// begun is how much of the end of text is a beginning of word.
func begun(text, word string) int {
	for n := min(len(word)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, word[:n]) {
			return n
		}
	}
	return 0
}
