package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/provider"
)

const (
	clientSoon  = time.Second // while the provider has not been asked
	clientAgain = time.Minute // while it refuses
)

// clientCheck asks at the start whether the provider takes the client's secret:
// a wrong one is to be heard of before the first person is refused for it.
type clientCheck struct {
	provider interface{ CheckClient(context.Context) error }
	id, file string
	log      zerolog.Logger
	last     atomic.Pointer[error]
}

// run asks until the answer is yes, and says each minute that it is no.
func (c *clientCheck) run(ctx context.Context) {
	for {
		err := c.provider.CheckClient(ctx)
		c.last.Store(&err)
		wait := clientAgain
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, provider.ErrNotReady):
			wait = clientSoon
		case errors.Is(err, provider.ErrClient):
			c.log.Error().Err(err).Str("client_id", c.id).Str("secret_file", c.file).
				Msg("the provider refuses this client: check --client-id and the secret in --client-secret-file; " +
					"nobody can sign in with a browser")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// ready is nil unless the provider has said no.
func (c *clientCheck) ready(context.Context) error {
	if err := c.last.Load(); err != nil && errors.Is(*err, provider.ErrClient) {
		return *err
	}
	return nil
}
