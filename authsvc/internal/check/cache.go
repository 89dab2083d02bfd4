package check

import "sync"

// key is the hash of a secret: a look-up by it leaks nothing through its time.
type key [32]byte

// cache remembers verdicts. It is bounded by two generations: what is used
// moves to the young one, and when that is full the old one is dropped whole.
type cache struct {
	half int

	mu         sync.RWMutex
	young, old map[key]*verdict
}

func newCache(most int) *cache {
	return &cache{half: max(1, most/2), young: map[key]*verdict{}, old: map[key]*verdict{}}
}

func (c *cache) get(k key) *verdict {
	c.mu.RLock()
	v, young := c.young[k]
	if !young {
		v = c.old[k]
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
	if _, have := c.young[k]; !have && len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[key]*verdict, 64)
	}
	delete(c.old, k)
	c.young[k] = v
}

func (c *cache) drop(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, k)
	delete(c.old, k)
}

// dropWhere forgets every verdict that matches.
func (c *cache) dropWhere(match func(*verdict) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range []map[key]*verdict{c.young, c.old} {
		for k, v := range m {
			if match(v) {
				delete(m, k)
			}
		}
	}
}

func (c *cache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
