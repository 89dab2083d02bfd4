package policy

import (
	"fmt"
	"strings"
)

// glob is a pattern in which * stands for any run of characters; every other
// character stands for itself. In the pattern of a resource * stops at a
// slash and ** does not.
type glob struct {
	exact  string   // the pattern, where it has no *
	prefix string   // what stands before the first *
	parts  []string // what stands behind each *, in order
	deep   []bool   // whether that * crosses a slash
}

const maxStars = 8 // each star may backtrack: a pattern needs few

func compileGlob(pattern string, slashes bool) (glob, error) {
	if pattern == "" {
		return glob{}, fmt.Errorf("is empty; write * to match all")
	}
	first := strings.IndexByte(pattern, '*')
	if first < 0 {
		return glob{exact: pattern}, nil
	}
	g := glob{prefix: pattern[:first]}
	for rest := pattern[first:]; rest != ""; {
		stars := len(rest) - len(strings.TrimLeft(rest, "*"))
		rest = rest[stars:]
		end := strings.IndexByte(rest, '*')
		if end < 0 {
			end = len(rest)
		}
		g.parts = append(g.parts, rest[:end])
		g.deep = append(g.deep, !slashes || stars > 1)
		rest = rest[end:]
	}
	if len(g.parts) > maxStars {
		return glob{}, fmt.Errorf("%q has more than %d stars", pattern, maxStars)
	}
	return g, nil
}

func (g glob) match(name string) bool {
	if g.parts == nil {
		return name == g.exact
	}
	if !strings.HasPrefix(name, g.prefix) {
		return false
	}
	return matchStars(g.parts, g.deep, name[len(g.prefix):])
}

// matchStars matches the rest of a name against the stars that are left. The
// last star takes its part from the end, so that one star never backtracks.
func matchStars(parts []string, deep []bool, name string) bool {
	part := parts[0]
	if len(parts) == 1 {
		run, ok := strings.CutSuffix(name, part)
		return ok && (deep[0] || strings.IndexByte(run, '/') < 0)
	}
	for from := 0; ; {
		at := strings.Index(name[from:], part)
		if at < 0 {
			return false
		}
		at += from
		if !deep[0] && strings.IndexByte(name[:at], '/') >= 0 {
			return false
		}
		if matchStars(parts[1:], deep[1:], name[at+len(part):]) {
			return true
		}
		from = at + 1
	}
}

type globs []glob

func (gs globs) match(name string) bool {
	for i := range gs {
		if gs[i].match(name) {
			return true
		}
	}
	return false
}
