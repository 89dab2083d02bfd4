package door

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// memory holds the first page of each list as a caller was last told it, and what
// each server said of itself to him, so that a new session starts no server. A
// list was filtered for this very caller: the key has all that a policy can ask.
type memory struct {
	mu    sync.Mutex
	lists map[remembered]list
	bytes int
}

type remembered struct {
	server *fleet.Server
	method string
	who    [sha256.Size]byte
}

type list struct {
	result []byte
	at     time.Time
}

// ofItself is the method by which a server says what it is.
const ofItself = "initialize"

const (
	memoryAge   = time.Hour
	memoryBytes = 16 << 20
)

func keyOf(server *fleet.Server, method string, who *contract.Identity) remembered {
	shown := *who
	shown.Expires, shown.SessionID = time.Time{}, "" // another token of the same person is told the same
	text, _ := json.Marshal(shown)                   // strings only
	return remembered{server, method, sha256.Sum256(text)}
}

func (m *memory) put(key remembered, result []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lists == nil || m.bytes+len(result) > memoryBytes {
		m.lists, m.bytes = map[remembered]list{}, 0 // they are asked for again
	}
	m.bytes += len(result) - len(m.lists[key].result)
	m.lists[key] = list{result, time.Now()}
}

func (m *memory) get(key remembered) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	// What a server is does not change while its configuration does not.
	if l, ok := m.lists[key]; ok && (key.method == ofItself || time.Since(l.at) < memoryAge) {
		return l.result
	}
	return nil
}

// forget drops what a server said has changed.
func (m *memory) forget(server *fleet.Server, methods ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, l := range m.lists {
		for _, method := range methods {
			if key.server == server && key.method == method {
				m.bytes -= len(l.result)
				delete(m.lists, key)
			}
		}
	}
}

// clear forgets all: other servers, or another policy.
func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists, m.bytes = nil, 0
}
