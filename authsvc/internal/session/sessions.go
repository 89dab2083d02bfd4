package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Kinds of keys in the store.
const (
	kindSession = "session"
	kindLease   = "lease"
	kindUser    = "user"
	kindSID     = "sid"
	kindEnded   = "ended"
)

// touchEvery bounds how often "last seen" is written for one session.
const touchEvery = time.Minute

// Ages bounds a session.
type Ages struct {
	Absolute time.Duration // from sign-in
	Idle     time.Duration // from the last request
	Grace    time.Duration // past the access token's end while the provider is out of reach
	Refresh  time.Duration // after which roles and scopes are asked for anew, 0 for the access token's end
	Tokens   time.Duration // how long tokens can come of one sign-in at the provider
	PerUser  int           // sessions of one user at once, 0 for no limit
}

// Sessions is the service over a Store. Box is of the store's own key: it seals
// what must be readable without a cookie, and what a cookie opens needs it too.
// It is safe for concurrent use.
type Sessions struct {
	Store     Store
	Box       *Box
	Endings   *Endings
	Refresher Refresher
	Ages      Ages
	Now       func() time.Time
	Log       zerolog.Logger

	// Shared is nil where Box is of the store key that the other replicas have, as
	// far as this one can tell; nil itself where there are no others.
	Shared func(context.Context) error

	KeepAccess bool // keep the access token in the session: other credentials come of it

	renewals sync.WaitGroup
	turns    turns // of writers of a user's list
}

// Wait returns when no renewal is under way: a rotated refresh token that is
// not written down is a session lost.
func (s *Sessions) Wait() { s.renewals.Wait() }

// Browser is who signs in: from where, with what, and since when it has been on
// its way to a session.
type Browser struct {
	IP, Agent string
	Since     time.Time
}

// Create stores a new session under a new secret. The oldest sessions of a
// user who then has too many end. Where the provider's session or the user was
// ended while the browser was on its way, the new one ends at once and the
// error is ErrNoSession.
func (s *Sessions) Create(ctx context.Context, g Grant, from Browser) (Secret, Session, error) {
	secret, now := NewSecret(), s.Now()
	sess := Session{Created: now, Seen: now, RemoteIP: clip(from.IP), Agent: clip(from.Agent)}
	sess.Identity.SessionID = ownSID(secret)
	sess.Identity.Expires = now.Add(s.Ages.Absolute)
	sess.adopt(s.kept(g), now, s.Ages.Refresh)
	sealed, err := sess.seal(s.Box, secret)
	if err != nil {
		return secret, sess, err
	}
	ok, err := s.Store.Swap(ctx, secret.Key(kindSession), nil, sealed, s.ttl(sess))
	if err != nil || !ok {
		return secret, sess, errors.Join(err, refused(ok))
	}
	surplus, err := s.enlist(ctx, secret, sess)
	if err != nil {
		return secret, sess, err
	}
	if len(surplus) > 0 {
		err = s.endAll(ctx, sess.Identity.Subject, surplus...)
	}
	return secret, sess, errors.Join(err, s.endedMeanwhile(ctx, secret, sess, from.Since))
}

// kept is what of a grant a session holds.
func (s *Sessions) kept(g Grant) Grant {
	if !s.KeepAccess {
		g.AccessToken = ""
	}
	return g
}

// endedMeanwhile looks after the session is listed: a logout that comes now
// finds it, and one that came before has left its mark. Marks count whole
// seconds.
func (s *Sessions) endedMeanwhile(ctx context.Context, secret Secret, sess Session, since time.Time) error {
	ids := []string{UserEnding(sess.Identity.Subject)}
	if sess.ProviderSID != "" {
		ids = append(ids, sess.ProviderSID)
	}
	ended, err := s.Endings.Ended(ctx, ids...)
	if err != nil {
		return err
	}
	for _, at := range ended {
		if at.Unix() >= since.Unix() {
			return errors.Join(ErrNoSession, s.remove(ctx, secret, sess))
		}
	}
	return nil
}

const ownPrefix = "g-"

// IsOwn reports whether an id is that of a session of ours; else it is the
// provider's.
func IsOwn(sid string) bool { return strings.HasPrefix(sid, ownPrefix) }

// ownSID is an id from which the secret cannot be found.
func ownSID(secret Secret) string {
	sum := sha256.Sum256([]byte("gatehouse sid\x00" + string(secret[:])))
	return ownPrefix + hex.EncodeToString(sum[:16])
}

func refused(ok bool) error {
	if ok {
		return nil
	}
	return ErrUnavailable
}

func clip(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most]
	}
	return text
}

// Lookup returns the session that the secret opens, renewed where it is due.
// It waits for the provider only where the access token has already lapsed.
func (s *Sessions) Lookup(ctx context.Context, secret Secret) (Session, error) {
	raw, sess, err := s.load(ctx, secret)
	if err != nil {
		return Session{}, err
	}
	now := s.Now()
	switch {
	case sess.renewalDue(now):
		return s.renewed(ctx, secret, raw, sess)
	case now.Sub(sess.Seen) >= touchEvery:
		return s.touch(ctx, secret, raw, sess), nil
	}
	return sess, nil
}

func (s *Sessions) load(ctx context.Context, secret Secret) ([]byte, Session, error) {
	values, err := s.Store.Get(ctx, secret.Key(kindSession))
	if err != nil {
		return nil, Session{}, err
	}
	if values[0] == nil {
		return nil, Session{}, ErrNoSession
	}
	sess, err := openSession(s.Box, secret, values[0])
	if err != nil {
		return nil, Session{}, s.unopened(ctx, err)
	}
	if now := s.Now(); !now.Before(sess.Identity.Expires) || now.Sub(sess.Seen) >= s.Ages.Idle {
		return nil, Session{}, ErrNoSession
	}
	return values[0], sess, nil
}

// unopened is what a session means that is stored and does not open. It was
// sealed with an old store key, and ended with that; or this replica has a wrong
// one, and says no of nothing that the others sealed.
func (s *Sessions) unopened(ctx context.Context, err error) error {
	s.Log.Warn().Err(err).Msg("a stored session does not open (was the store key changed?); its user signs in again")
	return cmp.Or(s.shared(ctx), ErrNoSession)
}

func (s *Sessions) shared(ctx context.Context) error {
	if s.Shared == nil {
		return nil
	}
	if err := s.Shared(ctx); err != nil {
		return fmt.Errorf("%w with this store key: %w", ErrUnavailable, err)
	}
	return nil
}

// touch writes down that the session was seen. Losing to another writer is
// fine: that one saw it too.
func (s *Sessions) touch(ctx context.Context, secret Secret, raw []byte, sess Session) Session {
	sess.Seen = s.Now()
	sealed, err := sess.seal(s.Box, secret)
	if err == nil {
		_, err = s.Store.Swap(ctx, secret.Key(kindSession), raw, sealed, s.ttl(sess))
	}
	if err == nil {
		err = s.markSeen(ctx, secret, sess)
	}
	if err != nil {
		s.Log.Warn().Err(err).Msg("last seen was not written")
	}
	return sess
}

// ttl ends the stored value with the session: the idle age from now, and never
// past the absolute one.
func (s *Sessions) ttl(sess Session) time.Duration {
	return min(s.Ages.Idle, sess.Identity.Expires.Sub(s.Now()))
}
