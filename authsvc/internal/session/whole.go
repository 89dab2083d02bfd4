package session

import (
	"context"
	"time"
)

// endingLimit is for the slowest ending, which asks a store and a provider that
// both hang. It is over before the server gives its answer up, after 30 s.
const endingLimit = 25 * time.Second

// Whole is the context of an ending: it goes on when who asked has left. Half an
// ending is worse than none: a session that is gone, and its streams still open.
func Whole(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), endingLimit)
}
