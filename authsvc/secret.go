package main

import (
	"sync"

	"github.com/rs/zerolog"

	"gatehouse/internal/httpkit"
)

// clientSecret reads the client's secret from its file anew each time, so that
// a rotated one counts from the next call to the provider on, without a new
// start. While the file is gone or empty the last secret stays in use.
type clientSecret struct {
	cfg config
	log zerolog.Logger

	mu   sync.Mutex
	last string
}

func (c *clientSecret) now() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.ClientSecretFile == "" {
		return c.last
	}
	next, err := httpkit.Secret("AUTHSVC_CLIENT_SECRET", "", c.cfg.ClientSecretFile)
	switch {
	case err != nil:
		c.log.Warn().Err(err).Msg("the client's secret was not read; the last one stays in use")
	case next != c.last:
		c.last = next
		c.log.Info().Msg("the client's secret has changed")
	}
	return c.last
}
