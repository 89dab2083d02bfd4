package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store moves bytes for all replicas. Every method returns within its
// deadline, and an error that is not the caller's own wraps ErrUnavailable.
//
// Values lapse after their ttl. Whatever replaces or removes a session goes
// through Swap, so that a command which the network delivers late changes
// nothing that was written after it.
type Store interface {
	// Get returns one value for each key, nil where there is none.
	Get(ctx context.Context, keys ...string) ([][]byte, error)
	// Put writes a mark that something has ended, unconditionally. A store that
	// takes no other value any more still has room for such.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Swap replaces old by new in one step and reports whether it did. A nil
	// old stands for "no value", a nil new removes.
	Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error)
	// Publish sends a message to every subscriber that is connected now.
	Publish(ctx context.Context, message []byte) error
	// Subscribe calls fn for each message until ctx ends or the connection
	// is lost; messages published meanwhile are lost too.
	Subscribe(ctx context.Context, fn func(message []byte)) error
}

// Errors. ErrUnavailable does not mean that a session has ended, only that
// nobody can tell now; ErrNoSession means that it has, or never was.
var (
	ErrUnavailable = errors.New("session store is out of reach")
	ErrPassword    = fmt.Errorf("%w: it refused the user or password of --redis-url (--redis-url-file)", ErrUnavailable)
	ErrFull        = fmt.Errorf("%w: it is full", ErrUnavailable)
	ErrNoSession   = errors.New("no such session")
)
