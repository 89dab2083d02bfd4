package session

import (
	"context"
	"slices"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
)

// Drain refuses new sessions, and new calls on those that are open. A session
// ends with the answer to its last call, so that one busy client does not use
// up the time of all; when ctx ends, all end.
func (t *Table) Drain(ctx context.Context) {
	t.draining.Store(true) // not by Refuse, which others undo
	t.finish(ctx, ErrDrain, t.served())
}

// Draining tells that the bridge is stopping, or nil.
func (t *Table) Draining() error {
	if t.draining.Load() {
		return ErrDrain
	}
	return nil
}

// Retire takes a server away: its sessions end as in a drain, then its
// children.
func (t *Table) Retire(ctx context.Context, server *fleet.Server) error {
	t.finish(ctx, ErrRetired, []*fleet.Server{server})
	t.mu.Lock()
	t.servers = slices.DeleteFunc(slices.Clone(t.servers), func(s *fleet.Server) bool { return s == server })
	t.mu.Unlock()
	for _, s := range t.all() {
		if s.server == server {
			s.End(ErrRetired) // opened meanwhile
		}
	}
	return server.Close(ctx)
}

const finishTick = 20 * time.Millisecond // between two looks at what is still busy

// finish ends the sessions of the servers, each when it has no call under way,
// and waits until ctx for them, and for the calls that belong to no session.
func (t *Table) finish(ctx context.Context, why error, servers []*fleet.Server) {
	tick := time.NewTicker(finishTick)
	defer tick.Stop()
	for {
		over, open := ctx.Err() != nil, false
		for _, s := range t.all() {
			switch {
			case !slices.Contains(servers, s.server):
			case s.leave(why) || over:
				s.End(why)
			default: // its call may be on its way to a child that wakes, which nothing keeps busy yet
				open = true
			}
		}
		if over || !open && !slices.ContainsFunc(servers, (*fleet.Server).Busy) {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// leave refuses the session's calls from now on. done says that none is under
// way any more.
func (s *Session) leave(why error) (done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving == nil {
		s.leaving = &mux.Refusal{Reason: why.Error(), Retry: 5 * time.Second}
	}
	return s.turns.none() && (s.link == nil || !s.link.Busy())
}
