package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	maxEntries = 200                  // sessions listed for one user
	swapLimit  = 5 * time.Second      // for a value that others write too
	swapPause  = 5 * time.Millisecond // at most, between two tries
)

// errBusy says that other writers were faster for as long as swapLimit.
var errBusy = fmt.Errorf("%w: too many writers of one list", ErrUnavailable)

// Entry describes a session in its user's list, without its secret.
type Entry struct {
	Key         string    `json:"key"` // of the session in the store
	SID         string    `json:"sid"`
	ProviderSID string    `json:"provider_sid"`
	Created     time.Time `json:"created"`
	Seen        time.Time `json:"seen"`
	End         time.Time `json:"end"`
	RemoteIP    string    `json:"remote_ip"`
	Agent       string    `json:"agent"`
}

// enlist adds a session to its user's list and returns those beyond the limit.
func (s *Sessions) enlist(ctx context.Context, secret Secret, sess Session) (surplus []Entry, err error) {
	e := Entry{
		Key: secret.Key(kindSession), SID: sess.Identity.SessionID, ProviderSID: sess.ProviderSID,
		Created: sess.Created, Seen: sess.Seen, End: sess.Identity.Expires, RemoteIP: sess.RemoteIP, Agent: sess.Agent,
	}
	if e.ProviderSID != "" {
		name := s.Box.Name(kindSID, e.ProviderSID)
		mine := s.Box.Seal(name, []byte(sess.Identity.Subject))
		if err := s.swap(ctx, name, s.Ages.Absolute, func([]byte) ([]byte, error) { return mine, nil }); err != nil {
			return nil, err
		}
	}
	if err := s.list(ctx, sess.Identity, e.End); err != nil {
		return nil, err
	}
	most := maxEntries
	if s.Ages.PerUser > 0 {
		most = min(most, s.Ages.PerUser)
	}
	err = s.edit(ctx, sess.Identity.Subject, func(list []Entry) []Entry {
		list = append(list, e)
		cut := max(0, len(list)-most)
		surplus = slices.Clone(list[:cut])
		return list[cut:]
	})
	return surplus, err
}

func (s *Sessions) markSeen(ctx context.Context, secret Secret, sess Session) error {
	key := secret.Key(kindSession)
	return s.edit(ctx, sess.Identity.Subject, func(list []Entry) []Entry {
		for i := range list {
			if list[i].Key == key {
				list[i].Seen = sess.Seen
			}
		}
		return list
	})
}

// edit changes a user's list in one step. Entries past their end leave it. The
// writers of this process take turns, so that many logins of one user at once
// are never more rivals than there are replicas.
func (s *Sessions) edit(ctx context.Context, subject string, change func([]Entry) []Entry) error {
	name := s.Box.Name(kindUser, subject)
	turn := s.turns.of(name)
	if err := turn.lock(ctx); err != nil {
		return err
	}
	defer turn.unlock()
	return s.swap(ctx, name, s.Ages.Absolute, func(old []byte) ([]byte, error) {
		list := change(s.openList(name, old))
		if len(list) == 0 {
			return nil, nil
		}
		plain, err := json.Marshal(list)
		if err != nil {
			return nil, fmt.Errorf("user's sessions: %w", err)
		}
		return s.Box.Seal(name, plain), nil
	})
}

// swap replaces a value by what change makes of it, and tries again for a
// bounded time when another was faster. There is nothing to do where change
// returns the very value that it was given.
func (s *Sessions) swap(
	ctx context.Context,
	key string,
	life time.Duration,
	change func(old []byte) ([]byte, error),
) error {
	busy := time.After(swapLimit)
	for {
		values, err := s.Store.Get(ctx, key)
		if err != nil {
			return err
		}
		next, err := change(values[0])
		if err != nil || same(values[0], next) {
			return err
		}
		if ok, err := s.Store.Swap(ctx, key, values[0], next, life); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-busy:
			return errBusy
		case <-time.After(rand.N(swapPause)):
		}
	}
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func (s *Sessions) openList(name string, sealed []byte) []Entry {
	if sealed == nil {
		return nil
	}
	var list []Entry
	plain, err := s.Box.Open(name, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &list)
	}
	if err != nil {
		s.Log.Warn().Err(err).Msg("a user's list of sessions does not open (was the store key changed?); it starts anew")
		return nil
	}
	now := s.Now()
	return slices.DeleteFunc(list, func(e Entry) bool { return !now.Before(e.End) })
}

// List returns a user's sessions that still stand, newest first.
func (s *Sessions) List(ctx context.Context, subject string) ([]Entry, error) {
	name := s.Box.Name(kindUser, subject)
	values, err := s.Store.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	list := s.openList(name, values[0])
	if len(list) == 0 {
		return nil, nil
	}
	keys := make([]string, len(list))
	for i, e := range list {
		keys[i] = e.Key
	}
	stored, err := s.Store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	var live []Entry
	for i, e := range list {
		if stored[i] != nil {
			live = append(live, e)
		}
	}
	slices.SortFunc(live, func(a, b Entry) int { return b.Created.Compare(a.Created) })
	return live, nil
}

// End ends the session that the secret opens and returns it, for its
// id_token_hint. A session that does not exist is ended already.
func (s *Sessions) End(ctx context.Context, secret Secret) (Session, error) {
	_, sess, err := s.load(ctx, secret)
	if err != nil {
		return Session{}, err
	}
	return sess, s.remove(ctx, secret, sess)
}

func (s *Sessions) remove(ctx context.Context, secret Secret, sess Session) error {
	return s.endAll(ctx, sess.Identity.Subject, Entry{Key: secret.Key(kindSession), SID: sess.Identity.SessionID})
}

// EndOne ends one of a user's own sessions by its id.
func (s *Sessions) EndOne(ctx context.Context, subject, sid string) error {
	return s.endWhere(ctx, subject, func(e Entry) bool { return e.SID == sid })
}

// EndUser ends all that a user has: sessions here, the tokens issued until now,
// and the provider's sessions that those came from. The mark comes first: a
// sign-in under way that is listed too late to be found here finds the mark.
func (s *Sessions) EndUser(ctx context.Context, subject string) error {
	return errors.Join(
		s.Endings.End(ctx, UserEnding(subject)),
		s.endWhere(ctx, subject, func(Entry) bool { return true }),
		s.endNoted(ctx, subject),
	)
}

// EndProvider ends what hangs on the provider's session: the tokens that carry
// its sid and our sessions made from it. subject may be "". Its mark comes first,
// as EndUser's does.
func (s *Sessions) EndProvider(ctx context.Context, sid, subject string) error {
	err := s.Endings.End(ctx, sid)
	if subject == "" {
		var getErr error
		if subject, getErr = s.ProviderSubject(ctx, sid); getErr != nil {
			return errors.Join(err, getErr)
		}
	}
	if subject == "" {
		return err // no browser signed in with it
	}
	return errors.Join(err, s.endWhere(ctx, subject, func(e Entry) bool { return e.ProviderSID == sid }))
}

// ProviderSubject is whose session of the provider it is, or "" where no browser
// signed in with it.
func (s *Sessions) ProviderSubject(ctx context.Context, sid string) (string, error) {
	name := s.Box.Name(kindSID, sid)
	values, err := s.Store.Get(ctx, name)
	if err != nil {
		return "", err
	}
	if plain, err := s.Box.Open(name, values[0]); err == nil {
		return string(plain), nil
	}
	return "", nil // none, or sealed with a key that is gone
}

// endWhere says that nobody can tell where this replica has a wrong store key:
// under that the list is another, and empty.
func (s *Sessions) endWhere(ctx context.Context, subject string, match func(Entry) bool) error {
	if err := s.shared(ctx); err != nil {
		return err
	}
	name := s.Box.Name(kindUser, subject)
	values, err := s.Store.Get(ctx, name)
	if err != nil {
		return err
	}
	list := s.openList(name, values[0])
	return s.endAll(ctx, subject, slices.DeleteFunc(list, func(e Entry) bool { return !match(e) })...)
}

// endAll ends sessions and takes those that have ended off their user's list.
func (s *Sessions) endAll(ctx context.Context, subject string, entries ...Entry) error {
	var errs []error
	ended := map[string]bool{}
	for _, e := range entries {
		err := s.endEntry(ctx, e)
		errs, ended[e.Key] = append(errs, err), err == nil
	}
	return errors.Join(append(errs, s.edit(ctx, subject, func(list []Entry) []Entry {
		return slices.DeleteFunc(list, func(have Entry) bool { return ended[have.Key] })
	}))...)
}

// endEntry removes the session itself first: what fails after that leaves only
// a line in a list.
func (s *Sessions) endEntry(ctx context.Context, e Entry) error {
	if err := s.swap(ctx, e.Key, s.Ages.Absolute, func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		return err
	}
	return s.Endings.End(ctx, e.SID)
}
