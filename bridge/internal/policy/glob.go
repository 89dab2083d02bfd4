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

const maxStars = 8 // a pattern needs few

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

// matchStars matches the rest of a name. The leftmost place is the best one for
// every part: what can follow a later place can follow it too, but for a slash
// that the next star must not cross. So only the last star that crosses
// slashes is moved on, and then behind the next slash, which keeps the time
// linear in a name that the client chose.
func matchStars(parts []string, deep []bool, name string) bool {
	last, back, behind := len(parts)-1, -1, 0 // behind the part of the star to go back to
	for i, from := 0, 0; ; {
		end := placeOf(parts[i], deep[i], i == last, name, from)
		switch {
		case end >= 0 && i == last:
			return true
		case end >= 0 && deep[i]:
			back, behind = i, end
		case end >= 0:
		case deep[i] || back < 0:
			return false
		default:
			slash := strings.IndexByte(name[behind:], '/')
			if slash < 0 {
				return false
			}
			i, from = back, behind+slash+1-len(parts[back])
			continue
		}
		i, from = i+1, end
	}
}

// placeOf returns where a part ends that stands behind a star which begins at
// from, or -1.
func placeOf(part string, deep, last bool, name string, from int) int {
	rest := name[from:]
	if last {
		run, ok := strings.CutSuffix(rest, part)
		if ok && (deep || strings.IndexByte(run, '/') < 0) {
			return len(name)
		}
		return -1
	}
	if !deep {
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			rest = rest[:min(len(rest), slash+len(part))]
		}
	}
	if at := strings.Index(rest, part); at >= 0 {
		return from + at + len(part)
	}
	return -1
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
