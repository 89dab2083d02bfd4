package cost

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// size is that of a body: the most that the bridge takes, but for the envelope.
const size = 8<<20 - 4096

// fill repeats pieces, with a comma between them, up to n bytes.
func fill(n int, piece func(i int) string) string {
	var b strings.Builder
	b.Grow(n + 64)
	for i := 0; b.Len() < n-64; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(piece(i))
	}
	return b.String()
}

func always(piece string) func(int) string { return func(int) string { return piece } }

// deep is values that lie in each other, as often as fits.
func deep(open, end string, depth int) func(int) string {
	text := strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
	return always(text)
}

// members are hostile insides of an object of n bytes.
var members = map[string]func(n int) string{
	"many keys":     func(n int) string { return fill(n, func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) },
	"one key again": func(n int) string { return fill(n, always(`"x":0`)) },
	"empty keys":    func(n int) string { return fill(n, always(`"":0`)) },
	"escaped keys": func(n int) string {
		return fill(n, func(i int) string { return fmt.Sprintf(`"\u0061%d":1`, i) })
	},
	"keys of escapes":  func(n int) string { return fill(n, always(`"\u0061\u0061\u0061":1`)) },
	"a key of escapes": func(n int) string { return `"` + strings.Repeat(`\u0061`, n/6) + `":1` },
	"keys almost ours": func(n int) string {
		return fill(n, func(i int) string { return fmt.Sprintf(`"progressTokem":%d,"nama":0`, i) })
	},
	"spaces": func(n int) string { return `"x"` + strings.Repeat(" ", n) + `:1` },
}

// values are hostile values of n bytes.
var values = map[string]func(n int) string{
	"escapes":           func(n int) string { return `"` + strings.Repeat(`\u0041`, n/6) + `"` },
	"backslashes":       func(n int) string { return `"` + strings.Repeat(`\\`, n/2) + `"` },
	"halves of pairs":   func(n int) string { return `"` + strings.Repeat(`\ud83d`, n/6) + `"` },
	"bytes of no UTF-8": func(n int) string { return `"` + strings.Repeat("\xff", n) + `"` },
	"digits":            func(n int) string { return strings.Repeat("7", n) },
	"nulls":             func(n int) string { return "[" + fill(n, always("null")) + "]" },
	"numbers": func(n int) string {
		return "[" + fill(n, func(i int) string { return fmt.Sprint(i % 10) }) + "]"
	},
	"floats":        func(n int) string { return "[" + fill(n, always("1.5e-7")) + "]" },
	"short strings": func(n int) string { return "[" + fill(n, always(`"a"`)) + "]" },
	"empty lists":   func(n int) string { return "[" + fill(n, always("[]")) + "]" },
	"empty objects": func(n int) string { return "[" + fill(n, always("{}")) + "]" },
	"named objects": func(n int) string { return "[" + fill(n, always(`{"name":"a"}`)) + "]" },
	"deep lists":    func(n int) string { return "[" + fill(n, deep("[", "]", 9000)) + "]" },
	"deep objects":  func(n int) string { return "[" + fill(n, deep(`{"a":`, "}", 9000)) + "]" },
	"too deep":      func(n int) string { return strings.Repeat("[", n/2) + strings.Repeat("]", n/2) },
	"thirty deep": func(n int) string {
		return strings.Repeat("[", 30) + fill(n, always("1")) + strings.Repeat("]", 30)
	},
	"spaces": func(n int) string { return "[1" + strings.Repeat(" ", n) + "]" },
}

// plain is what an ordinary message carries: records.
func plain(n int) string {
	return "[" + fill(n, func(i int) string {
		return fmt.Sprintf(
			`{"id":%d,"name":"a name of some words","tags":["one","two"],"size":%d.5,"done":true,"note":null}`,
			i,
			i*7,
		)
	}) + "]"
}

// tools is an ordinary list of them, if a long one.
func tools(n int) string {
	return "[" + fill(n, func(i int) string {
		return fmt.Sprintf(`{"name":"tool_%d","description":"What it does, in some words.","inputSchema":{"type":"object",`+
			`"properties":{"text":{"type":"string"},"n":{"type":"integer"}},"required":["text"]}}`, i)
	}) + "]"
}

// text is one string and nothing else: the cheapest that there is.
func text(n int) string { return `"` + strings.Repeat("x", n) + `"` }

// shapes are what stands in one place of a message: values, or with object the
// insides of an object.
func shapes(object bool) map[string]func(n int) string {
	if object {
		return members
	}
	return values
}

// pair is a shape in a place, by its number.
type pair struct {
	place int
	shape string
}

// cover has each place and each shape at least once.
func cover(places int, shapes []string) (pairs []pair) {
	for i := range max(places, len(shapes)) {
		pairs = append(pairs, pair{i % places, shapes[i%len(shapes)]})
	}
	return pairs
}

func oneOf(r *rand.Rand, names []string) string { return names[r.IntN(len(names))] }
