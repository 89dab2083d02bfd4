package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"
)

// Keys is authsvc's key set; the last good one is kept while authsvc is away.
type Keys struct {
	URL    string
	Client *http.Client
	Log    zerolog.Logger

	mu   sync.Mutex // one fetch at a time
	last time.Time  // when the last one ended
	set  jose.JSONWebKeySet
	read sync.RWMutex
}

const (
	keysEvery    = time.Minute
	keysAtMost   = 2 * time.Second // an unknown key fetches no more often
	maxKeysBytes = 1 << 20
)

// Current is the set in force.
func (k *Keys) Current() jose.JSONWebKeySet {
	k.read.RLock()
	defer k.read.RUnlock()
	return k.set
}

// Refresh fetches the set, unless that was done a moment ago, and reports whether
// the set in force is that of this moment. Who waited for another's fetch makes
// none of his own: strangers would queue before whoever has a new key.
func (k *Keys) Refresh(ctx context.Context) (fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.last) < keysAtMost {
		return false
	}
	set, err := k.fetch(context.WithoutCancel(ctx))
	k.last = time.Now()
	if err != nil {
		k.Log.Warn().Err(err).Msg("cannot fetch the keys of assertions; the last set stays in force")
		return false
	}
	k.read.Lock()
	defer k.read.Unlock()
	k.set = set
	return true
}

func (k *Keys) fetch(ctx context.Context) (set jose.JSONWebKeySet, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL, nil)
	if err != nil {
		return set, err
	}
	res, err := k.Client.Do(req)
	if err != nil {
		return set, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return set, fmt.Errorf("%s answered %s", k.URL, res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxKeysBytes)).Decode(&set); err != nil {
		return set, err
	}
	if len(set.Keys) == 0 {
		return set, fmt.Errorf("%s holds no key", k.URL)
	}
	return set, nil
}

// Run fetches the set now and then until ctx ends; often while there is none.
func (k *Keys) Run(ctx context.Context) {
	for {
		k.Refresh(ctx)
		wait := keysEvery
		if len(k.Current().Keys) == 0 {
			wait = keysAtMost
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Check reports whether there is a key at all.
func (k *Keys) Check(context.Context) error {
	if len(k.Current().Keys) == 0 {
		return fmt.Errorf("no key set was fetched from %s yet", k.URL)
	}
	return nil
}
