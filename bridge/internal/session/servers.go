package session

import (
	"context"
	"slices"
	"time"

	"gatehouse/bridge/internal/fleet"
)

// Add lets sessions be opened on one server more.
func (t *Table) Add(server *fleet.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.servers = append(t.servers, server)
}

// Retire takes a server away: it waits, until ctx, for the calls in flight on
// it, then ends its sessions and its children.
func (t *Table) Retire(ctx context.Context, server *fleet.Server) error {
	quiet(ctx, server)
	t.mu.Lock()
	t.servers = slices.DeleteFunc(slices.Clone(t.servers), func(s *fleet.Server) bool { return s == server })
	t.mu.Unlock()
	for _, s := range t.all() {
		if s.server == server {
			s.End(ErrRetired)
		}
	}
	return server.Close(ctx)
}

// served are the servers as they are now.
func (t *Table) served() []*fleet.Server {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.servers)
}

const quietTick = 20 * time.Millisecond

// quiet waits, until ctx, for the calls in flight.
func quiet(ctx context.Context, servers ...*fleet.Server) {
	tick := time.NewTicker(quietTick)
	defer tick.Stop()
	for slices.ContainsFunc(servers, (*fleet.Server).Busy) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
