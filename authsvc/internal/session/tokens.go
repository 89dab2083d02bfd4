package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A client that comes with a token has no session here. The provider's session
// of its token is noted all the same, under its user, for as long as any token
// can come of it: or ending a user could not end what is open under it, and a
// token that is renewed after the ending would be let in.
const (
	kindTokens = "tokens"
	noteAgain  = time.Hour // a note is renewed no more often
)

// Noted is one client's sign-in with tokens.
type Noted struct {
	SID    string    `json:"sid"`
	Client string    `json:"client"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// ClientEnding is the id under which all that a client had of a user until now
// is ended.
func ClientEnding(subject, client string) string { return userPrefix + subject + "\x00" + client }

// Note remembers that a client uses tokens of the provider's session. Of a user
// who then has too many the one that was longest unused ends: what is not
// listed could not be ended with its user.
func (s *Sessions) Note(ctx context.Context, subject, sid, client string) error {
	now := s.Now()
	until := now.Add(s.Ages.Tokens)
	var surplus []string
	err := s.editNoted(ctx, subject, func(list []Noted) ([]Noted, bool) {
		one := Noted{SID: sid, Client: client, Since: now, Until: until}
		at := slices.IndexFunc(list, func(n Noted) bool { return n.SID == sid && n.Client == client })
		if at >= 0 {
			if list[at].Until.After(until.Add(-noteAgain)) {
				return nil, false
			}
			one.Since = list[at].Since
			list = slices.Delete(list, at, at+1)
		}
		list = append(list, one)
		cut := max(0, len(list)-maxEntries)
		surplus = notAmong(list[:cut], list[cut:])
		return list[cut:], true
	})
	if err != nil || len(surplus) == 0 {
		return err
	}
	s.Log.Info().Int("kept", maxEntries).Int("ended", len(surplus)).
		Msg("a user has more sign-ins with tokens than are kept: the one longest unused was ended")
	return s.Endings.End(ctx, surplus...)
}

// notAmong are the provider's sessions of cut that no entry of kept has.
func notAmong(cut, kept []Noted) (sids []string) {
	for _, c := range cut {
		if !slices.ContainsFunc(kept, func(k Noted) bool { return k.SID == c.SID }) {
			sids = append(sids, c.SID)
		}
	}
	return sids
}

// Tokens lists what signed in with a token, newest first.
func (s *Sessions) Tokens(ctx context.Context, subject string) ([]Noted, error) {
	name := s.Box.Name(kindTokens, subject)
	values, err := s.Store.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	list := s.openNoted(name, values[0])
	slices.Reverse(list)
	return list, nil
}

// HasClient reports whether a client is listed among those that signed in with
// a token.
func (s *Sessions) HasClient(ctx context.Context, subject, client string) (bool, error) {
	list, err := s.Tokens(ctx, subject)
	return slices.ContainsFunc(list, func(n Noted) bool { return n.Client == client }), err
}

// EndClient ends what a client had of a user: the tokens issued until now. Its
// mark takes room that is kept for endings: where a person names the client, ask
// HasClient before.
func (s *Sessions) EndClient(ctx context.Context, subject, client string) error {
	return errors.Join(s.MarkClient(ctx, subject, client), s.UnlistClient(ctx, subject, client))
}

// MarkClient is EndClient, and leaves the client listed.
func (s *Sessions) MarkClient(ctx context.Context, subject, client string) error {
	return s.Endings.End(ctx, ClientEnding(subject, client))
}

// UnlistClient takes a client off its user's list.
func (s *Sessions) UnlistClient(ctx context.Context, subject, client string) error {
	return s.editNoted(ctx, subject, func(list []Noted) ([]Noted, bool) {
		before := len(list)
		list = slices.DeleteFunc(list, func(n Noted) bool { return n.Client == client })
		return list, len(list) != before
	})
}

// endNoted ends the provider's sessions of all tokens that were noted.
func (s *Sessions) endNoted(ctx context.Context, subject string) error {
	list, err := s.Tokens(ctx, subject)
	if err != nil || len(list) == 0 {
		return err
	}
	var sids []string
	for _, n := range list {
		sids = append(sids, n.SID)
	}
	slices.Sort(sids)
	if err := s.Endings.End(ctx, slices.Compact(sids)...); err != nil {
		return err
	}
	return s.editNoted(ctx, subject, func(list []Noted) ([]Noted, bool) {
		return slices.DeleteFunc(list, func(n Noted) bool { return slices.Contains(sids, n.SID) }), true
	})
}

// editNoted changes the list, where change says so.
func (s *Sessions) editNoted(ctx context.Context, subject string, change func([]Noted) ([]Noted, bool)) error {
	name := s.Box.Name(kindTokens, subject)
	turn := s.turns.of(name)
	if err := turn.lock(ctx); err != nil {
		return err
	}
	defer turn.unlock()
	return s.swap(ctx, name, s.Ages.Tokens, func(old []byte) ([]byte, error) {
		list, changed := change(s.openNoted(name, old))
		if !changed {
			return old, nil
		}
		if len(list) == 0 {
			return nil, nil
		}
		plain, err := json.Marshal(list)
		if err != nil {
			return nil, fmt.Errorf("tokens of a user: %w", err)
		}
		return s.Box.Seal(name, plain), nil
	})
}

func (s *Sessions) openNoted(name string, sealed []byte) []Noted {
	if sealed == nil {
		return nil
	}
	var list []Noted
	plain, err := s.Box.Open(name, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &list)
	}
	if err != nil {
		s.Log.Warn().Err(err).Msg("a user's list of tokens does not open (was the store key changed?); it starts anew")
		return nil
	}
	now := s.Now()
	return slices.DeleteFunc(list, func(n Noted) bool { return !now.Before(n.Until) })
}
