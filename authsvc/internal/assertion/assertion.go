// Package assertion keeps the keys that sign what the bridge believes. All
// replicas share one set through the store, sealed, and rotate it; each signs
// with the newest key that the bridge has had time to learn of.
//
// It must never know whom an assertion is about.
package assertion

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

const (
	storeKey  = "assertion-keys"
	rotate    = 24 * time.Hour   // a key is replaced at this age
	announce  = 2 * time.Minute  // a new key is published so long before it signs
	reloadGap = 10 * time.Second // between two looks at the shared set
	keep      = 2 * rotate       // a key is published so long
	setLife   = 30 * rotate
	retryGap  = time.Second
)

// Life is how long one assertion is good: reuse, and a little for its way.
const Life = contract.AssertionReuse + 30*time.Second

var (
	// ErrNotReady says that no key is known yet.
	ErrNotReady = errors.New("no assertion key yet: the store has not been reached")
	// ErrForeign says that the shared keys were sealed with another store key.
	// To make new ones in their place would take them from the replicas that
	// sign with them.
	ErrForeign = errors.New(
		"the shared assertion keys were sealed with another store key: give this replica the --store-key-file " +
			"that the others have; where all are to have a new one, stop them, empty Redis (flushdb), start them",
	)
)

type storedKey struct {
	Key     jose.JSONWebKey `json:"key"`
	Created time.Time       `json:"created"`
}

type ring struct {
	signer *contract.Signer
	public jose.JSONWebKeySet
}

// Keys is safe for concurrent use; Run keeps it fresh.
type Keys struct {
	store session.Store
	box   *session.Box
	now   func() time.Time
	log   zerolog.Logger
	ring  atomic.Pointer[ring]
}

// New makes a set that is not ready until Run has reached the store.
func New(store session.Store, box *session.Box, now func() time.Time, log zerolog.Logger) *Keys {
	return &Keys{store: store, box: box, now: now, log: log}
}

// Ready reports whether there is a key to sign with.
func (k *Keys) Ready(context.Context) error {
	if k.ring.Load() == nil {
		return ErrNotReady
	}
	return nil
}

// Sign makes an assertion that lives for Life, or to the identity's end.
func (k *Keys) Sign(id contract.Identity) (string, time.Time, error) {
	r := k.ring.Load()
	if r == nil {
		return "", time.Time{}, ErrNotReady
	}
	return r.signer.Sign(id, k.now(), Life)
}

// Public is the set that verifies every assertion now in use.
func (k *Keys) Public() (jose.JSONWebKeySet, error) {
	r := k.ring.Load()
	if r == nil {
		return jose.JSONWebKeySet{}, ErrNotReady
	}
	return r.public, nil
}

// Run loads, makes and rotates keys until ctx ends. While the store is away
// the last set stays in use.
func (k *Keys) Run(ctx context.Context) {
	for {
		gap := reloadGap
		if err := k.Reload(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn().Err(err).Msg("assertion keys were not reloaded")
			gap = retryGap
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gap):
		}
	}
}

// Reload takes the shared set, and adds a key where the newest is too old.
// Two replicas that add at once: one wins the swap, the other takes its set.
func (k *Keys) Reload(ctx context.Context) error {
	const tries = 3
	for range tries {
		values, err := k.store.Get(ctx, storeKey)
		if err != nil {
			return err
		}
		keys, err := k.open(values[0])
		if err != nil {
			return err
		}
		if !k.due(keys) {
			return k.adopt(keys)
		}
		if keys, err = k.extend(keys); err != nil {
			return err
		}
		plain, err := json.Marshal(keys)
		if err != nil {
			return fmt.Errorf("assertion keys: %w", err)
		}
		sealed := k.box.Seal(storeKey, plain)
		ok, err := k.store.Swap(ctx, storeKey, values[0], sealed, setLife)
		if err != nil {
			return err
		}
		if ok {
			k.log.Info().Int("keys", len(keys)).Msg("a new assertion key was made")
			return k.adopt(keys)
		}
	}
	return fmt.Errorf("%w: other replicas keep changing the assertion keys", session.ErrUnavailable)
}

func (k *Keys) open(sealed []byte) ([]storedKey, error) {
	if sealed == nil {
		return nil, nil
	}
	var keys []storedKey
	plain, err := k.box.Open(storeKey, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &keys)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return keys, nil
}

// due also renews the stored set long before it lapses: rotate < setLife.
func (k *Keys) due(keys []storedKey) bool {
	return len(keys) == 0 || k.now().Sub(keys[len(keys)-1].Created) >= rotate
}

func (k *Keys) extend(keys []storedKey) ([]storedKey, error) {
	now := k.now()
	var kept []storedKey
	for _, key := range keys {
		if now.Sub(key.Created) < keep {
			kept = append(kept, key)
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("assertion key: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return append(kept, storedKey{Created: now, Key: jose.JSONWebKey{
		Key: private, KeyID: hex.EncodeToString(id[:]), Algorithm: string(jose.EdDSA), Use: "sig",
	}}), nil
}

func (k *Keys) adopt(keys []storedKey) error {
	r := &ring{}
	now, chosen := k.now(), keys[0]
	for _, key := range keys {
		r.public.Keys = append(r.public.Keys, key.Key.Public())
		if now.Sub(key.Created) >= announce {
			chosen = key
		}
	}
	signer, err := contract.NewSigner(chosen.Key)
	if err != nil {
		return err
	}
	r.signer = signer
	k.ring.Store(r)
	return nil
}
