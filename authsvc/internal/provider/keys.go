package provider

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	keysMinInterval = 5 * time.Second // between two fetches, whoever asks
	answerMost      = 1 << 20         // bytes of any answer
	fetchLimit      = 1500 * time.Millisecond
)

// Algorithms is the allowlist for every token of the provider. HS256 is not in
// it, so a public key can never serve as a shared secret.
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA}
}

// Errors of KeySet. ErrKeys does not mean that a token is bad, only that no
// key is at hand to tell.
var (
	ErrKeys      = errors.New("the provider's keys are out of reach")
	ErrSignature = errors.New("signature")
)

// KeySet is the provider's keys, cached. A fetch that fails leaves the last
// good set in use. It implements KeySet of go-oidc.
type KeySet struct {
	url    func() string // "" while the provider is not known yet
	client *http.Client
	now    func() time.Time
	clock  func(http.Header) // is told of each answer

	flight  singleflight.Group
	loading sync.Mutex // is held while a fetch runs

	mu    sync.Mutex
	keys  jose.JSONWebKeySet
	got   bool      // a good set
	tried time.Time // when a fetch began
	gen   uint64    // changes when a key leaves the set
}

func newKeySet(url func() string, client *http.Client, now func() time.Time, clock func(http.Header)) *KeySet {
	return &KeySet{url: url, client: client, now: now, clock: clock}
}

// Generation changes when a key has been withdrawn: what was verified before
// must be verified again.
func (k *KeySet) Generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gen
}

// VerifySignature checks the signature alone and returns the payload.
func (k *KeySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, Algorithms())
	if err != nil {
		return nil, fmt.Errorf("%w: not a JWT signed with an allowed algorithm", ErrSignature)
	}
	head := jws.Signatures[0].Protected
	found, err := k.find(ctx, head.KeyID)
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != head.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("%w: it does not match a key of the provider", ErrSignature)
}

// find returns the keys with the kid. An unknown kid may be a new key, so it
// is worth a fetch, but only the first in an interval.
func (k *KeySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	if found, _ := k.cached(kid); len(found) > 0 {
		return found, nil
	}
	fetchErr := k.refresh(ctx)
	found, err := k.cached(kid)
	if len(found) > 0 {
		return found, nil
	}
	if err != nil {
		return nil, errors.Join(err, fetchErr)
	}
	return nil, fmt.Errorf("%w: unknown key", ErrSignature)
}

func (k *KeySet) cached(kid string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.got {
		return nil, ErrKeys
	}
	return k.keys.Key(kid), nil
}

// again fetches for the one loop that keeps the set fresh: it is slow enough by
// itself, and must not be held up by those who come with unknown keys, nor be
// told their "not yet".
func (k *KeySet) again(ctx context.Context) error {
	k.mu.Lock()
	k.tried = k.now()
	k.mu.Unlock()
	return k.load(ctx)
}

// refresh fetches unless someone tried within the interval. Callers at the
// same time share one fetch.
func (k *KeySet) refresh(ctx context.Context) error {
	result := k.flight.DoChan("keys", func() (any, error) {
		k.mu.Lock()
		now := k.now()
		wait := now.Sub(k.tried) < keysMinInterval
		if !wait {
			k.tried = now
		}
		k.mu.Unlock()
		if wait {
			return nil, nil
		}
		return nil, k.load(context.WithoutCancel(ctx))
	})
	select {
	case r := <-result:
		return r.Err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrKeys, ctx.Err())
	}
}

// load fetches and replaces. One at a time, or an older answer could come last.
func (k *KeySet) load(ctx context.Context) error {
	k.loading.Lock()
	defer k.loading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	keys, err := k.fetch(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeys, err)
	}
	k.replace(keys)
	return nil
}

func (k *KeySet) replace(keys jose.JSONWebKeySet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.ContainsFunc(k.keys.Keys, func(old jose.JSONWebKey) bool { return !has(keys, old) }) {
		k.gen++
	}
	k.keys, k.got = keys, true
}

// has reports whether a key is in a set and verifies there what it did before. Its
// kid alone does not tell: another key can stand under it, and many have none.
func has(keys jose.JSONWebKeySet, one jose.JSONWebKey) bool {
	want := thumbprintOf(one)
	return slices.ContainsFunc(keys.Key(one.KeyID), func(key jose.JSONWebKey) bool {
		return key.Use == one.Use && key.Algorithm == one.Algorithm && bytes.Equal(thumbprintOf(key), want)
	})
}

// thumbprintOf is that of RFC 7638, which each key has that fetch takes for usable.
func thumbprintOf(key jose.JSONWebKey) []byte {
	sum, _ := key.Thumbprint(crypto.SHA256)
	return sum
}

func (k *KeySet) fetch(ctx context.Context) (jose.JSONWebKeySet, error) {
	var keys jose.JSONWebKeySet
	url := k.url()
	if url == "" {
		return keys, ErrNotReady
	}
	header, err := getJSON(ctx, k.client, url, &keys)
	if err != nil {
		return keys, err
	}
	k.clock(header)
	usable := keys.Keys[:0]
	for _, key := range keys.Keys {
		if key.Valid() && key.IsPublic() {
			usable = append(usable, key)
		}
	}
	if keys.Keys = usable; len(usable) == 0 {
		return keys, errors.New("the key set holds no usable public key")
	}
	return keys, nil
}

func getJSON(ctx context.Context, client *http.Client, url string, v any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return askJSON(client, req, v)
}

func askJSON(client *http.Client, req *http.Request, v any) (http.Header, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	if res.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%w: GET %s: status 404", ErrNotThere, req.URL.Redacted())
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", req.URL.Redacted(), res.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, answerMost)).Decode(v); err != nil {
		return nil, fmt.Errorf("GET %s: %w", req.URL.Redacted(), err)
	}
	return res.Header, nil
}
