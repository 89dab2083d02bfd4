// Package memstore is a session.Store in this process's memory, for one
// replica. Its contents end with the process.
//
// It must never know what it stores.
package memstore

import (
	"bytes"
	"context"
	"sync"
	"time"

	"gatehouse/authsvc/internal/session"
)

const defaultMax = 200_000

type item struct {
	value []byte
	end   time.Time
}

// Store is bounded: when it is full of values that live, it refuses new ones
// with session.ErrFull and drops none. For marks of an ending there is as much
// room again, which nothing else can fill.
type Store struct {
	now func() time.Time
	max int

	mu    sync.Mutex
	items map[string]item
	subs  map[*func([]byte)]struct{}
}

// New makes an empty store of at most most values (0: a default).
func New(now func() time.Time, most int) *Store {
	if most <= 0 {
		most = defaultMax
	}
	return &Store{now: now, max: most, items: map[string]item{}, subs: map[*func([]byte)]struct{}{}}
}

// Get implements session.Store.
func (s *Store) Get(_ context.Context, keys ...string) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = s.live(key)
	}
	return values, nil
}

func (s *Store) live(key string) []byte {
	it, ok := s.items[key]
	if !ok || !s.now().Before(it.end) {
		return nil
	}
	return it.value
}

// Put implements session.Store.
func (s *Store) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(key, value, ttl, 2*s.max)
}

func (s *Store) set(key string, value []byte, ttl time.Duration, most int) error {
	if _, ok := s.items[key]; !ok && len(s.items) >= most {
		if s.sweep(); len(s.items) >= most {
			return session.ErrFull
		}
	}
	s.items[key] = item{bytes.Clone(value), s.now().Add(ttl)}
	return nil
}

func (s *Store) sweep() {
	now := s.now()
	for key, it := range s.items {
		if !now.Before(it.end) {
			delete(s.items, key)
		}
	}
}

// Swap implements session.Store.
func (s *Store) Swap(_ context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.live(key)
	if (have == nil) != (old == nil) || !bytes.Equal(have, old) {
		return false, nil
	}
	if new == nil {
		delete(s.items, key)
		return true, nil
	}
	if err := s.set(key, new, ttl, s.max); err != nil {
		return false, err
	}
	return true, nil
}

// Publish implements session.Store.
func (s *Store) Publish(_ context.Context, message []byte) error {
	s.mu.Lock()
	fns := make([]func([]byte), 0, len(s.subs))
	for fn := range s.subs {
		fns = append(fns, *fn)
	}
	s.mu.Unlock()
	for _, fn := range fns {
		fn(message)
	}
	return nil
}

// Heard reports whether so many listen.
func (s *Store) Heard(by int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs) >= by
}

// Subscribe implements session.Store.
func (s *Store) Subscribe(ctx context.Context, fn func([]byte)) error {
	s.mu.Lock()
	s.subs[&fn] = struct{}{}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	delete(s.subs, &fn)
	s.mu.Unlock()
	return ctx.Err()
}
