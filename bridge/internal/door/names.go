package door

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
)

// maxName is how long a name may be that every client takes, and plainName what
// it may be made of (2025-11-25, server/tools, "Tool Names").
const maxName = 64

func plainName(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && c != '_' && c != '-' && c != '.'
	})
}

// aliases are the public names that do not say by themselves what they stand
// for: they were too long, or had letters that a client may refuse.
type aliases struct {
	mu sync.Mutex
	of map[string]alias
}

type alias struct{ part, name string }

const maxAliases = 16 << 10

// note reports whether the alias is new.
func (a *aliases) note(public string, is alias) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[public] == is {
		return false
	}
	if a.of == nil || len(a.of) >= maxAliases {
		a.of = map[string]alias{} // the next list makes them again
	}
	a.of[public] = is
	return true
}

func (a *aliases) find(public string) (alias, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	is, ok := a.of[public]
	return is, ok
}

func (a *aliases) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.of)
}

// public is the name of a server's tool or prompt at the door. A name that does
// not fit is cut and ends with a part of its hash: it is the same after a
// restart.
func (d *Door) public(parts []Part, part, name string) string {
	whole := part + d.o.Separator + name
	if p, own, ok := byPrefix(parts, d.o.Separator, whole); ok && p.Name == part && own == name &&
		len(whole) <= maxName && plainName(whole) {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	mark := "_" + hex.EncodeToString(sum[:4])
	short := strings.Map(func(c rune) rune {
		if plainName(string(c)) {
			return c
		}
		return '_'
	}, whole)
	short = short[:min(len(short), maxName-len(mark))] + mark
	if d.aliases.note(short, alias{part, name}) {
		d.o.Log.Warn().Str("server", part).Str("name", name).Str("as", short).
			Msg("a name does not fit at /mcp, so it has another there")
	}
	return short
}

// resolve finds what a public name stands for.
func (d *Door) resolve(parts []Part, public string) (p Part, name string, ok bool) {
	if is, known := d.aliases.find(public); known {
		for _, p := range parts {
			if p.Name == is.part {
				return p, is.name, true
			}
		}
	}
	return byPrefix(parts, d.o.Separator, public)
}

// byPrefix takes the server with the longest name that the public one begins
// with.
func byPrefix(parts []Part, separator, public string) (found Part, name string, ok bool) {
	for _, p := range parts {
		rest, begins := strings.CutPrefix(public, p.Name+separator)
		if begins && rest != "" && (!ok || len(p.Name) > len(found.Name)) {
			found, name, ok = p, rest, true
		}
	}
	return found, name, ok
}
