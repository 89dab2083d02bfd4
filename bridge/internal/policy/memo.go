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
	written, common := name, name
	if kind == Resource {
		written, common = spellings(name)
	}
	for _, r := range p.rules {
		if r.covers(server, kind, written) || common != written && r.covers(server, kind, common) {
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
