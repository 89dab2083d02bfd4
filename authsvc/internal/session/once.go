package session

import (
	"context"
	"time"
)

const usedMark = "1"

// Once tells the first use of an id from every later one, for all replicas:
// of a DPoP proof, of a logout token.
type Once struct {
	store Store
	box   *Box
}

// NewOnce keeps its marks in store, under names that secret hides.
func NewOnce(store Store, secret []byte) Once { return Once{store, NewBox(secret, "once")} }

// First marks an id as used until then, and reports whether it was not yet.
func (o Once) First(ctx context.Context, id string, until time.Time) (bool, error) {
	return o.store.Swap(ctx, o.name(id), nil, []byte(usedMark), time.Until(until))
}

// Undo takes the mark away: what the id was used for did not come about.
func (o Once) Undo(ctx context.Context, id string) error {
	_, err := o.store.Swap(ctx, o.name(id), []byte(usedMark), nil, 0)
	return err
}

func (o Once) name(id string) string { return o.box.Name("once", id) }
