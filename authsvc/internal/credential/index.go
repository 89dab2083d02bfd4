package credential

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/contract"
)

// Who has connected what is listed, so that an administrator can see it: a
// store only finds what it is asked for. The list is cut into shards, so that
// people who connect at once seldom write the same one.
const (
	shards   = 16
	maxShard = 4096 // of one shard; further ones are not listed
)

// Holder is a user who has connected a credential.
type Holder struct {
	Subject string    `json:"sub"`
	Email   string    `json:"email"`
	Name    string    `json:"name"` // of the entry
	Since   time.Time `json:"since"`
}

func (s *Service) shard(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return s.shardName(int(sum[0]) % shards)
}

func (s *Service) shardName(n int) string { return s.Box.Name(kindIndex, strconv.Itoa(n)) }

func (s *Service) list(ctx context.Context, who contract.Identity, e *Entry, since time.Time) error {
	return s.edit(ctx, who.Subject, func(all []Holder) []Holder {
		all = slices.DeleteFunc(all, func(h Holder) bool { return h.Subject == who.Subject && h.Name == e.Name })
		if len(all) >= maxShard {
			s.Log.Warn().Msg("too many credentials for the administrators' list; this one is not in it")
			return all
		}
		return append(all, Holder{who.Subject, who.Email, e.Name, since})
	})
}

func (s *Service) unlist(ctx context.Context, subject string, e *Entry) error {
	return s.edit(ctx, subject, func(all []Holder) []Holder {
		return slices.DeleteFunc(all, func(h Holder) bool { return h.Subject == subject && h.Name == e.Name })
	})
}

func (s *Service) edit(ctx context.Context, subject string, change func([]Holder) []Holder) error {
	name := s.shard(subject)
	return s.swap(ctx, name, s.longest(), func(old []byte) ([]byte, error) {
		all := change(s.holders(name, old))
		if len(all) == 0 {
			return nil, nil
		}
		plain, err := json.Marshal(all)
		if err != nil {
			return nil, fmt.Errorf("list of credentials: %w", err)
		}
		return s.Box.Seal(name, plain), nil
	})
}

// longest is how long a record may be kept, and twice as long its place in the
// list: one that is in use is touched, its place is not.
func (s *Service) longest() time.Duration {
	most := defaultKeep
	for _, e := range s.Entries {
		most = max(most, e.keep)
	}
	return 4 * most
}

func (s *Service) holders(name string, sealed []byte) []Holder {
	if sealed == nil {
		return nil
	}
	var all []Holder
	plain, err := s.Box.Open(name, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &all)
	}
	if err != nil {
		s.Log.Warn().Err(err).Msg("a list of credentials does not open (was the store key changed?); it starts anew")
		return nil
	}
	return all
}

// Holders are all users who have connected something that is still there, at
// most so many, in the order of their addresses.
func (s *Service) Holders(ctx context.Context, most int) ([]Holder, error) {
	if len(s.Entries) == 0 {
		return nil, nil
	}
	names := make([]string, shards)
	for n := range names {
		names[n] = s.shardName(n)
	}
	values, err := s.Store.Get(ctx, names...)
	if err != nil {
		return nil, err
	}
	var all []Holder
	for n, value := range values {
		all = append(all, s.holders(names[n], value)...)
	}
	slices.SortFunc(all, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(a.Email, b.Email), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Name, b.Name))
	})
	all = all[:min(len(all), most)]
	if len(all) == 0 {
		return nil, nil
	}
	keys := make([]string, len(all))
	for i, h := range all {
		keys[i] = s.name(kindRecord, h.Subject, h.Name)
	}
	if values, err = s.Store.Get(ctx, keys...); err != nil {
		return nil, err
	}
	var there []Holder
	for i, h := range all {
		if values[i] != nil {
			there = append(there, h)
		}
	}
	return there, nil
}
