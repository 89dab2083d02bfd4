package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A client that comes with a token has no session here. Its sid is noted all
// the same, under its user, or ending a user could not end the streams that
// are open under it.
const (
	kindTokens  = "tokens"
	notedLonger = 10 * time.Minute // so that a renewed token seldom costs a write
)

// noted is the provider's session of a token.
type noted struct {
	SID   string    `json:"sid"`
	Until time.Time `json:"until"`
}

// Note remembers that a user's token of the provider's session is in use until
// then.
func (s *Sessions) Note(ctx context.Context, subject, sid string, until time.Time) error {
	return s.editNoted(ctx, subject, func(list []noted) ([]noted, bool) {
		at := slices.IndexFunc(list, func(n noted) bool { return n.SID == sid })
		if at >= 0 && !list[at].Until.Before(until) {
			return nil, false
		}
		if at >= 0 {
			list = slices.Delete(list, at, at+1)
		}
		list = append(list, noted{sid, until.Add(notedLonger)})
		return list[max(0, len(list)-maxEntries):], true
	})
}

// endNoted ends the provider's sessions of all tokens that were noted.
func (s *Sessions) endNoted(ctx context.Context, subject string) error {
	var sids []string
	err := s.editNoted(ctx, subject, func(list []noted) ([]noted, bool) {
		sids = nil
		for _, n := range list {
			sids = append(sids, n.SID)
		}
		return nil, false
	})
	if err != nil {
		return err
	}
	return s.Endings.End(ctx, sids...)
}

// editNoted changes the list, where change says so.
func (s *Sessions) editNoted(ctx context.Context, subject string, change func([]noted) ([]noted, bool)) error {
	name := s.Box.Name(kindTokens, subject)
	turn := s.turns.of(name)
	if err := turn.lock(ctx); err != nil {
		return err
	}
	defer turn.unlock()
	return s.swap(ctx, name, func(old []byte) ([]byte, error) {
		list, changed := change(s.openNoted(name, old))
		if !changed {
			return old, nil
		}
		plain, err := json.Marshal(list)
		if err != nil {
			return nil, fmt.Errorf("tokens of a user: %w", err)
		}
		return s.Box.Seal(name, plain), nil
	})
}

func (s *Sessions) openNoted(name string, sealed []byte) []noted {
	if sealed == nil {
		return nil
	}
	var list []noted
	plain, err := s.Box.Open(name, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &list)
	}
	if err != nil {
		s.Log.Warn().Err(err).Msg("a user's list of tokens does not open (was the store key changed?); it starts anew")
		return nil
	}
	now := s.Now()
	return slices.DeleteFunc(list, func(n noted) bool { return !now.Before(n.Until) })
}
