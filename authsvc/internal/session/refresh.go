package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	leaseLife    = 15 * time.Second        // of one renewal, which outlives its request
	leaseMargin  = time.Second             // before its end the holder writes no more
	askLimit     = 10 * time.Second        // of the question to the provider
	writePause   = 20 * time.Millisecond   // between two tries to write a grant, at first
	maxPause     = 500 * time.Millisecond  // and at last
	failedPause  = 5 * time.Second         // before the provider is asked again
	renewWait    = 1800 * time.Millisecond // of a request for a renewal: it must answer within 2 s
	renewPoll    = 25 * time.Millisecond
	maxRenewLead = time.Minute
)

var leaseFailed = []byte("failed")

// Refresher trades a refresh token for a new grant. It returns ErrRefused when
// the provider said no, and any other error when it could not be asked.
type Refresher interface {
	Refresh(ctx context.Context, refreshToken string) (Grant, error)
}

// ErrRefused says that the provider will not renew this session: it ended
// there, or its user was disabled.
var ErrRefused = errors.New("the provider refused the refresh token")

// renewalDue reports whether the access token is in the last quarter of its
// life, or in its last minute.
func (s *Session) renewalDue(now time.Time) bool {
	return s.RefreshToken != "" && s.TokenEnd.Sub(now) < min(s.TokenLife/4, maxRenewLead)
}

// renewed makes sure that one replica renews the session. While the access
// token still lives the request goes on with it; else it waits a bounded time.
func (s *Sessions) renewed(ctx context.Context, secret Secret, raw []byte, sess Session) (Session, error) {
	holder := NewSecret()
	won, err := s.Store.Swap(ctx, secret.Key(kindLease), nil, holder[:], leaseLife)
	if err != nil {
		return Session{}, err
	}
	if won {
		renewCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLife-leaseMargin)
		s.renewals.Go(func() {
			defer cancel()
			s.renew(renewCtx, secret, holder, raw, sess)
		})
	}
	if s.Now().Before(sess.TokenEnd) {
		return sess, nil
	}
	return s.awaitRenewal(ctx, secret, raw, sess)
}

// renew runs under the lease. It starts from what is stored now: a replica
// that read before another's renewal must not spend the old token again.
func (s *Sessions) renew(ctx context.Context, secret, holder Secret, seen []byte, sess Session) {
	raw, current, err := s.load(ctx, secret)
	if err != nil || !bytes.Equal(raw, seen) && current.RefreshToken != sess.RefreshToken {
		s.release(ctx, secret, holder, nil)
		return
	}
	grant, err := s.ask(ctx, current.RefreshToken)
	if err == nil && grant.Identity.Subject != current.Identity.Subject {
		err = fmt.Errorf("%w: it answered for another subject", ErrRefused)
	}
	switch {
	case errors.Is(err, ErrRefused):
		s.Log.Info().Err(err).Str("session", current.Identity.SessionID).Msg("session ended: refresh refused")
		if err := s.remove(ctx, secret, current); err != nil {
			s.Log.Error().Err(err).Msg("a refused session was not removed")
		}
		s.release(ctx, secret, holder, nil)
	case err != nil:
		s.Log.Warn().Err(err).Msg("the provider could not be asked for a refresh")
		s.release(ctx, secret, holder, leaseFailed)
	default:
		s.write(ctx, secret, grant)
		s.release(ctx, secret, holder, nil)
	}
}

func (s *Sessions) ask(ctx context.Context, refreshToken string) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return s.Refresher.Refresh(ctx, refreshToken)
}

// write stores a grant. The old refresh token is spent by now, so that a grant
// which is not stored is a session lost: it tries, with pauses, as long as the
// lease lasts, and the old session goes on meanwhile. It loses to a writer of
// "last seen", and then tries again; a session that ended stays ended.
func (s *Sessions) write(ctx context.Context, secret Secret, g Grant) {
	for pause := writePause; ; pause = min(2*pause, maxPause) {
		done, err := s.writeOnce(ctx, secret, g)
		if done {
			return
		}
		select {
		case <-ctx.Done():
			s.Log.Error().Err(err).Msg("a renewed session was not stored before its lease ended: its user has to sign in again")
			return
		case <-time.After(pause):
		}
	}
}

// writeOnce reports whether nothing is left to do.
func (s *Sessions) writeOnce(ctx context.Context, secret Secret, g Grant) (done bool, err error) {
	raw, sess, err := s.load(ctx, secret)
	if errors.Is(err, ErrNoSession) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	sess.adopt(s.kept(g), s.Now(), s.Ages.Refresh)
	sess.Seen = s.Now()
	sealed, err := sess.seal(s.Box, secret)
	if err != nil {
		return false, err
	}
	return s.Store.Swap(ctx, secret.Key(kindSession), raw, sealed, s.ttl(sess))
}

// release gives the lease up, or leaves the mark of a failure in it for a
// while. A lease that was lost meanwhile is another's and stays.
func (s *Sessions) release(ctx context.Context, secret, holder Secret, mark []byte) {
	if _, err := s.Store.Swap(ctx, secret.Key(kindLease), holder[:], mark, failedPause); err != nil {
		s.Log.Warn().Err(err).Msg("a refresh lease was not released")
	}
}

// awaitRenewal waits for whoever holds the lease, at most renewWait.
func (s *Sessions) awaitRenewal(ctx context.Context, secret Secret, raw []byte, sess Session) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	tick := time.NewTicker(renewPoll)
	defer tick.Stop()
	for {
		values, err := s.Store.Get(ctx, secret.Key(kindSession), secret.Key(kindLease))
		switch {
		case err != nil && ctx.Err() != nil:
			return s.onGrace(sess)
		case err != nil:
			return Session{}, err
		case values[0] == nil:
			return Session{}, ErrNoSession
		case !bytes.Equal(values[0], raw):
			return s.reopened(secret, values[0])
		case values[1] == nil || bytes.Equal(values[1], leaseFailed):
			return s.onGrace(sess)
		}
		select {
		case <-ctx.Done():
			return s.onGrace(sess)
		case <-tick.C:
		}
	}
}

func (s *Sessions) reopened(secret Secret, raw []byte) (Session, error) {
	sess, err := openSession(s.Box, secret, raw)
	if err != nil {
		return Session{}, ErrNoSession
	}
	if !s.Now().Before(sess.TokenEnd) {
		return s.onGrace(sess)
	}
	return sess, nil
}

// onGrace lets a session whose token lapsed go on for a stated time while the
// provider is out of reach. After that nobody can tell, so nobody gets in.
func (s *Sessions) onGrace(sess Session) (Session, error) {
	if s.Now().Before(sess.TokenEnd.Add(s.Ages.Grace)) {
		return sess, nil
	}
	return Session{}, fmt.Errorf("%w: the provider has not renewed it", ErrUnavailable)
}
