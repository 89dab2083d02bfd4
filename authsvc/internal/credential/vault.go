package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gatehouse/authsvc/internal/session"
)

const (
	kindRecord = "credential"
	kindLease  = "credential-lease"
	kindLogin  = "credential-login"
	kindIndex  = "credential-index"

	maxRecord  = 64 << 10             // bytes of one, sealed
	swapLimit  = 5 * time.Second      // for a value that others write too
	swapPause  = 5 * time.Millisecond // at most, between two tries
	touchEvery = 24 * time.Hour       // "last used" is written no more often
)

// record is what is kept of one user's credential.
type record struct {
	Secret  string        `json:"secret"`            // entered, or the access token
	Refresh string        `json:"refresh,omitempty"` // token
	Expires time.Time     `json:"expires,omitzero"`  // of the secret; zero where it has no end that is known
	Life    time.Duration `json:"life,omitempty"`    // that it had when it came
	Scopes  []string      `json:"scopes,omitempty"`  // that were granted
	Since   time.Time     `json:"since"`             // connected
	Used    time.Time     `json:"used"`              // about
}

// name is the store's key of a record, and what its seal is bound to.
func (s *Service) name(kind, subject, entry string) string {
	return s.Box.Name(kind, subject+"\x00"+entry)
}

// load returns the record as it is stored, nil for none. One that does not open
// was sealed with a key that is gone, or belongs to somebody else: it is none.
func (s *Service) load(ctx context.Context, subject string, e *Entry) (raw []byte, r *record, err error) {
	name := s.name(kindRecord, subject, e.Name)
	values, err := s.Store.Get(ctx, name)
	if err != nil || values[0] == nil {
		return nil, nil, err
	}
	return values[0], s.open(name, values[0]), nil
}

func (s *Service) open(name string, sealed []byte) *record {
	var r record
	plain, err := s.Box.Open(name, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &r)
	}
	if err != nil {
		s.Log.Warn().Msg("a stored credential does not open (was the store key changed?); its user connects it again")
		return nil
	}
	return &r
}

func (s *Service) seal(name string, r *record) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, errors.New("credential: it has no form in JSON") // the error may quote it
	}
	sealed := s.Box.Seal(name, plain)
	if len(sealed) > maxRecord {
		return nil, fmt.Errorf("credential: it takes %d bytes, at most %d are kept", len(sealed), maxRecord)
	}
	return sealed, nil
}

// save puts a record in place of whatever is there.
func (s *Service) save(ctx context.Context, subject string, e *Entry, r *record) error {
	name := s.name(kindRecord, subject, e.Name)
	sealed, err := s.seal(name, r)
	if err != nil {
		return err
	}
	return s.swap(ctx, name, e.keep, func([]byte) ([]byte, error) { return sealed, nil })
}

// take removes the record that is there, and returns it; nil for none.
func (s *Service) take(ctx context.Context, subject string, e *Entry) (*record, error) {
	name := s.name(kindRecord, subject, e.Name)
	var taken []byte
	err := s.swap(ctx, name, e.keep, func(old []byte) ([]byte, error) {
		taken = old
		return nil, nil
	})
	if err != nil || taken == nil {
		return nil, err
	}
	return s.open(name, taken), nil
}

// touch lets a record live on that is in use.
func (s *Service) touch(ctx context.Context, subject string, e *Entry, raw []byte, r *record) {
	now := s.Now()
	if now.Sub(r.Used) < touchEvery {
		return
	}
	name, used := s.name(kindRecord, subject, e.Name), *r
	used.Used = now
	sealed, err := s.seal(name, &used)
	if err == nil {
		_, err = s.Store.Swap(ctx, name, raw, sealed, e.keep) // who wrote meanwhile has used it, too
	}
	if err != nil {
		s.Log.Warn().Err(err).Str("credential", e.Name).Msg("the last use of a credential was not written")
	}
}

// swap replaces a value by what change makes of it, and tries again for a
// bounded time where another was faster. nil removes.
func (s *Service) swap(
	ctx context.Context, key string, life time.Duration, change func(old []byte) ([]byte, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, swapLimit)
	defer cancel()
	for {
		values, err := s.Store.Get(ctx, key)
		if err != nil {
			return err
		}
		next, err := change(values[0])
		if err != nil || (next == nil) == (values[0] == nil) && bytes.Equal(next, values[0]) {
			return err
		}
		if ok, err := s.Store.Swap(ctx, key, values[0], next, life); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: others write the same value: %w", session.ErrUnavailable, ctx.Err())
		case <-time.After(rand.N(swapPause)):
		}
	}
}
