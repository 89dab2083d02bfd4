package session

import (
	"context"
	"fmt"
	"sync"
)

// turns are the locks of the values that several callers of this process write.
// Values that share one only wait for each other.
type turns [64]turn

func (t *turns) of(name string) *turn {
	sum := uint8(0)
	for i := range len(name) {
		sum = sum*31 + name[i]
	}
	return &t[sum%uint8(len(t))]
}

// turn is a lock that a caller waits for no longer than its context. The zero
// value is free.
type turn struct {
	once sync.Once
	busy chan struct{}
}

// lock returns an error, and no lock, where the context ends first.
func (t *turn) lock(ctx context.Context) error {
	t.once.Do(func() { t.busy = make(chan struct{}, 1) })
	select {
	case t.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: others write the same list: %w", ErrUnavailable, ctx.Err())
	}
}

func (t *turn) unlock() { <-t.busy }
