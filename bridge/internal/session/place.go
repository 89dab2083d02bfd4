package session

import (
	"context"
	"errors"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
)

// Where as many children run as may, a session of a server that sleeps waits
// for a place, and the session that has done nothing for longest sleeps early:
// one of the same user, where there is one.

const (
	nap       = 2 * time.Second // of a child that sleeps early: its client may be between two calls
	placeTick = 20 * time.Millisecond
	placeTime = 5 * time.Second // for a child to end
	placeLook = time.Second / 4 // between two looks at who may sleep
)

// child is a child for the session, which is waited for until the session ends.
func (s *Session) child(ctx context.Context) (*mux.Conn, *fleet.Lease, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.done:
			cancel(errGone)
		case <-ctx.Done():
		}
	}()
	return s.crowded(ctx)
}

// errGone ends the wait of a session that has ended.
var errGone = errors.New("the session has ended meanwhile")

// crowded waits for room for one more child where the server sleeps.
func (s *Session) crowded(ctx context.Context) (*mux.Conn, *fleet.Lease, error) {
	var crowded *fleet.Crowded
	conn, lease, err := s.take(ctx)
	if s.server.Limits().Sleep == 0 || !errors.As(err, &crowded) {
		return conn, lease, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.server.Limits().Start)
	defer cancel()
	tick := time.NewTicker(placeTick)
	defer tick.Stop()
	next := time.Time{}
	for {
		if now := time.Now(); now.After(next) {
			next = now.Add(placeLook)
			if s.table.yield(s.Owner.Subject, now) {
				next = now.Add(placeTime)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil, err
		}
		if crowded.Still() {
			continue
		}
		if conn, lease, err = s.take(ctx); !errors.As(err, &crowded) {
			return conn, lease, err
		}
	}
}

func (s *Session) take(ctx context.Context) (*mux.Conn, *fleet.Lease, error) {
	if s.server.Isolation == fleet.PerSession {
		conn, err := s.server.ForSession(ctx, &s.Owner, s.ID.Label())
		return conn, nil, err
	}
	lease, err := s.server.Pool().Acquire(ctx, &s.Owner)
	if err != nil {
		return nil, nil, err
	}
	return lease.Conn, lease, nil
}

// yield lets the session sleep that has done nothing for longest, of the user
// where one of his may.
func (t *Table) yield(user string, now time.Time) bool {
	var longest *Session
	var quiet time.Duration
	for _, s := range t.all() {
		d := s.quiet(now)
		if d < nap {
			continue
		}
		mine, his := s.Owner.Subject == user, longest != nil && longest.Owner.Subject == user
		if longest == nil || mine && !his || mine == his && d > quiet {
			longest, quiet = s, d
		}
	}
	if longest == nil || !longest.doze(now, nap) {
		return false
	}
	longest.server.Pool().Yield(now, nap)
	return true
}

// quiet is for how long the session's child has done nothing, where it may
// sleep.
func (s *Session) quiet(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server.Limits().Sleep == 0 || !s.mayDoze() {
		return 0
	}
	return s.link.Conn().Quiet(now)
}
