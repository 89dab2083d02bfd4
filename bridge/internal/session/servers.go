package session

import (
	"slices"

	"gatehouse/bridge/internal/fleet"
)

// Add lets sessions be opened on one server more.
func (t *Table) Add(server *fleet.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.servers = append(t.servers, server)
}

// served are the servers as they are now.
func (t *Table) served() []*fleet.Server {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.servers)
}
