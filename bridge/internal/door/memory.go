package door

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// memory is what servers listed, for each caller apart: two callers may be
// shown different things by a server, and by the policy.
type memory struct {
	mu    sync.Mutex
	of    map[whose]*listed
	bytes int
}

type whose struct {
	server *fleet.Server
	caller [sha256.Size]byte
}

// listed is what a server listed to one caller.
type listed struct {
	used  time.Time
	pages map[string]page              // the first of each method
	names map[string]string            // the server's own, by those outside that hold a hash
	uris  map[string]map[string]string // by method: resources, and templates
	bytes int
}

type page struct {
	result []byte
	at     time.Time
}

const (
	maxMemory = 64 << 20  // bytes; what was used longest ago makes room
	maxListed = 4 << 20   // of them for one server and caller
	pageLife  = time.Hour // of a list that no child has given since
)

func key(s *Server, who *contract.Identity) whose {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q", who.Subject, who.Roles, who.Scopes)
	return whose{s.Fleet, [sha256.Size]byte(sum.Sum(nil))}
}

// page is the first page of a list as the server gave it last.
func (m *memory) page(k whose, method string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.of[k]
	if l == nil {
		return nil, false
	}
	p, ok := l.pages[method]
	if !ok || time.Since(p.at) > pageLife {
		return nil, false
	}
	l.used = time.Now()
	return p.result, true
}

// entry is one thing of a list.
type entry struct {
	own   string // the server's name or URI of it
	outer string // the name outside, where it cannot be told from that
}

// note remembers a page of a list. A first one takes the place of all that the
// method listed before.
func (m *memory) note(k whose, method string, first bool, result []byte, entries []entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[whose]*listed{}
	}
	l := m.of[k]
	if l == nil {
		l = &listed{pages: map[string]page{}, names: map[string]string{}, uris: map[string]map[string]string{}}
		m.of[k] = l
	}
	l.used = time.Now()
	before := l.bytes
	if first || l.uris[method] == nil {
		for own := range l.uris[method] {
			l.bytes -= len(own)
		}
		l.uris[method] = map[string]string{}
	}
	if first {
		l.bytes -= len(l.pages[method].result)
		delete(l.pages, method)
		if l.bytes+len(result) <= maxListed {
			l.pages[method] = page{slices.Clone(result), time.Now()}
			l.bytes += len(result)
		}
	}
	for _, e := range entries {
		if l.bytes+len(e.own)+len(e.outer) > maxListed {
			break
		}
		if _, known := l.uris[method][e.own]; !known {
			l.bytes += len(e.own)
			l.uris[method][e.own] = ""
		}
		if _, known := l.names[e.outer]; e.outer != "" && !known {
			l.bytes += len(e.own) + len(e.outer)
			l.names[e.outer] = e.own
		}
	}
	m.bytes += l.bytes - before
	m.trim(k)
}

// trim forgets what was used longest ago. The lock is held.
func (m *memory) trim(but whose) {
	for m.bytes > maxMemory {
		var oldest whose
		for k, l := range m.of {
			if k != but && (m.of[oldest] == nil || l.used.Before(m.of[oldest].used)) {
				oldest = k
			}
		}
		if m.of[oldest] == nil {
			return
		}
		m.bytes -= m.of[oldest].bytes
		delete(m.of, oldest)
	}
}

// name is the server's own for a name with a hash.
func (m *memory) name(k whose, outer string) (own string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.of[k]; l != nil {
		own, ok = l.names[outer]
	}
	return own, ok
}

// has reports whether the server listed this; known, that it listed at all.
func (m *memory) has(k whose, method, own string) (has, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.of[k]
	if l == nil || l.uris[method] == nil {
		return false, false
	}
	_, has = l.uris[method][own]
	return has, true
}

// all are the things that the server listed.
func (m *memory) all(k whose, method string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.of[k]
	if l == nil {
		return nil
	}
	out := make([]string, 0, len(l.uris[method]))
	for own := range l.uris[method] {
		out = append(out, own)
	}
	return out
}
