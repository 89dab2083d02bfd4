package check

import (
	"sync"

	"gatehouse/authsvc/internal/session"
)

// key is the hash of a secret: a look-up by it leaks nothing through its time.
type key [32]byte

// cache remembers verdicts. It is bounded by two generations: what is used
// moves to the young one, and when that is full the old one is dropped whole.
type cache struct {
	half int

	mu         sync.RWMutex
	young, old generation
}

// generation also finds verdicts by the ids under which they can end, so that
// an ending costs what it ends and not a look at all of them.
type generation struct {
	verdicts map[key]*verdict
	of       map[string]map[key]struct{}
}

func newGeneration() generation {
	return generation{verdicts: make(map[key]*verdict, 64), of: make(map[string]map[key]struct{}, 64)}
}

// endsWith are the ids whose ending ends a verdict.
func (v *verdict) endsWith() [2]string {
	return [2]string{v.id.SessionID, session.UserEnding(v.id.Subject)}
}

func (g generation) put(k key, v *verdict) {
	g.drop(k)
	g.verdicts[k] = v
	for _, id := range v.endsWith() {
		if id == "" {
			continue
		}
		if g.of[id] == nil {
			g.of[id] = make(map[key]struct{}, 1)
		}
		g.of[id][k] = struct{}{}
	}
}

func (g generation) drop(k key) {
	v, ok := g.verdicts[k]
	if !ok {
		return
	}
	delete(g.verdicts, k)
	for _, id := range v.endsWith() {
		if delete(g.of[id], k); len(g.of[id]) == 0 {
			delete(g.of, id)
		}
	}
}

func newCache(most int) *cache {
	return &cache{half: max(1, most/2), young: newGeneration(), old: newGeneration()}
}

func (c *cache) get(k key) *verdict {
	c.mu.RLock()
	v, young := c.young.verdicts[k]
	if !young {
		v = c.old.verdicts[k]
	}
	c.mu.RUnlock()
	if v != nil && !young {
		c.put(k, v)
	}
	return v
}

func (c *cache) put(k key, v *verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, have := c.young.verdicts[k]; !have && len(c.young.verdicts) >= c.half {
		c.old, c.young = c.young, newGeneration()
	}
	c.old.drop(k)
	c.young.put(k, v)
}

func (c *cache) drop(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young.drop(k)
	c.old.drop(k)
}

// dropEnded forgets every verdict that ends with an id.
func (c *cache) dropEnded(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range []generation{c.young, c.old} {
		for k := range g.of[id] {
			g.drop(k)
		}
	}
}

// endingWith returns one verdict that ends with an id, or nil.
func (c *cache) endingWith(id string) *verdict {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, g := range []generation{c.young, c.old} {
		for k := range g.of[id] {
			return g.verdicts[k]
		}
	}
	return nil
}

func (c *cache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young.verdicts) + len(c.old.verdicts)
}
