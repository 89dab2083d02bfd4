package httpkit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable replaces what a terminal would obey in a text of outside: the controls
// of C0 and C1, and bytes that are no UTF-8, for some terminals take those for C1.
// A writer of JSON escapes C0 alone.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // of a byte that is no UTF-8 it is RuneError already
	}, text)
}
