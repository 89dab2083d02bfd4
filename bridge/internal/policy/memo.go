package policy

import (
	"strings"
	"sync"
)

// maxMemo bounds what is remembered: a client can invent names without end,
// and a name that does not fit any more costs a walk over the rules.
const maxMemo = 4096

const maxMemoName = 256

type target struct {
	server string
	kind   Kind
	name   string
}

// memo remembers which rules cover an item, so that a call does not match
// every glob of the policy again.
type memo struct {
	mu    sync.RWMutex
	rules map[target][]*rule
}

func (p *Policy) covering(server string, kind Kind, name string) []*rule {
	key := target{server, kind, name}
	p.memo.mu.RLock()
	rules, known := p.memo.rules[key]
	p.memo.mu.RUnlock()
	if known {
		return rules
	}
	for _, r := range p.rules {
		if r.covers(server, kind, name) {
			rules = append(rules, r)
		}
	}
	p.remember(key, rules)
	return rules
}

func (p *Policy) remember(key target, rules []*rule) {
	if len(key.name) > maxMemoName {
		return
	}
	p.memo.mu.Lock()
	defer p.memo.mu.Unlock()
	if len(p.memo.rules) >= maxMemo {
		return
	}
	if p.memo.rules == nil {
		p.memo.rules = make(map[target][]*rule)
	}
	key.name = strings.Clone(key.name) // do not keep the message that it stood in
	p.memo.rules[key] = rules
}

// ambiguousURI reports whether a server could resolve the URI to another one
// than its text says, and so past a glob: dot segments, plain or encoded, and
// backslashes (RFC 3986, 5.2.4 and 6.2.2).
func ambiguousURI(uri string) bool {
	if strings.ContainsAny(uri, "\\\x00") {
		return true
	}
	lower := strings.ToLower(uri)
	for _, encoded := range []string{"%2e", "%2f", "%5c", "%25", "%00"} {
		if strings.Contains(lower, encoded) {
			return true
		}
	}
	path, _, _ := strings.Cut(uri, "?")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
