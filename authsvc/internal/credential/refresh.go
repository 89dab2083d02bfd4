package credential

import (
	"bytes"
	"context"
	"errors"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/authsvc/internal/session"
)

const (
	leaseLife   = 15 * time.Second // of one renewal, which outlives its request
	leaseMargin = time.Second      // before its end the holder writes no more
	renewWait   = 9 * time.Second  // of a request whose token has lapsed
	renewPoll   = 25 * time.Millisecond
	writePause  = 100 * time.Millisecond
)

// renewed makes sure that one replica renews the token: with a provider that
// rotates refresh tokens, a second use burns them all. While the old token
// lives, who does not renew goes on with it.
func (s *Service) renewed(ctx context.Context, subject string, e *Entry, raw []byte, r *record) (*record, error) {
	alive := s.Now().Before(r.Expires)
	if r.Refresh == "" {
		if alive {
			return r, nil
		}
		return nil, &Missing{e, "it has ended, and cannot be renewed without its user"}
	}
	lease, holder := s.name(kindLease, subject, e.Name), session.NewSecret()
	won, err := s.Store.Swap(ctx, lease, nil, holder[:], leaseLife)
	if err != nil {
		return nil, err
	}
	if !won {
		if alive {
			return r, nil
		}
		return s.awaitRenewal(ctx, subject, e, raw)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLife-leaseMargin)
	defer cancel()
	defer func() {
		if _, err := s.Store.Swap(ctx, lease, holder[:], nil, 0); err != nil {
			s.Log.Warn().Err(err).Str("credential", e.Name).Msg("a lease was not released; it lapses")
		}
	}()
	next, err := s.renew(ctx, subject, e, raw)
	if err != nil && !errors.As(err, new(*Missing)) && alive {
		s.Log.Warn().Err(err).Str("credential", e.Name).Msg("a credential was not renewed; its token lives on")
		return r, nil
	}
	return next, err
}

// renew runs under the lease, and starts from what is stored now: whoever had
// the lease before may have renewed it.
func (s *Service) renew(ctx context.Context, subject string, e *Entry, seen []byte) (*record, error) {
	raw, r, err := s.load(ctx, subject, e)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, &Missing{e, "the user has disconnected it"}
	}
	if !bytes.Equal(raw, seen) && !r.due(s.Now()) {
		return r, nil
	}
	flow, err := s.flow(e)
	if err != nil {
		return nil, err
	}
	call, cancel := s.call(ctx)
	defer cancel()
	tok, err := flow.TokenSource(call, &oauth2.Token{RefreshToken: r.Refresh}).Token()
	if err != nil {
		err = answered(err)
		if errors.Is(err, ErrRefused) {
			s.forget(ctx, subject, e, raw)
			return nil, &Missing{e, "its provider does not renew it any more"}
		}
		return nil, err
	}
	next := *r
	if err := next.adopt(tok, s.Now()); err != nil {
		return nil, err
	}
	next.Used = s.Now()
	return s.store(ctx, subject, e, raw, &next)
}

// store stores a renewed record. The old refresh token may be spent by now, so
// it tries, with pauses, as long as the lease lasts. What its user connected or
// took away meanwhile stays so.
func (s *Service) store(ctx context.Context, subject string, e *Entry, raw []byte, next *record) (*record, error) {
	name := s.name(kindRecord, subject, e.Name)
	sealed, err := s.seal(name, next)
	if err != nil {
		return nil, err
	}
	for {
		ok, err := s.Store.Swap(ctx, name, raw, sealed, e.keep)
		if ok {
			return next, nil
		}
		if err == nil {
			_, now, err := s.load(ctx, subject, e)
			if err == nil && now == nil {
				err = &Missing{e, "the user has disconnected it"}
			}
			return now, err
		}
		select {
		case <-ctx.Done():
			s.Log.Error().Err(err).Str("credential", e.Name).
				Msg("a renewed credential was not stored before its lease ended: its user has to connect it again")
			return nil, err
		case <-time.After(writePause):
		}
	}
}

// forget removes a record that its provider does not renew, unless its user
// connected it anew.
func (s *Service) forget(ctx context.Context, subject string, e *Entry, raw []byte) {
	if _, err := s.Store.Swap(ctx, s.name(kindRecord, subject, e.Name), raw, nil, 0); err != nil {
		s.Log.Warn().Err(err).Str("credential", e.Name).Msg("a credential that ended was not removed")
	}
}

// awaitRenewal waits for whoever holds the lease.
func (s *Service) awaitRenewal(ctx context.Context, subject string, e *Entry, seen []byte) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	tick := time.NewTicker(renewPoll)
	defer tick.Stop()
	for {
		raw, r, err := s.load(ctx, subject, e)
		switch {
		case err != nil:
			return nil, err
		case r == nil:
			return nil, &Missing{e, "its provider does not renew it any more"}
		case !bytes.Equal(raw, seen) && s.Now().Before(r.Expires):
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the provider of the credential has not renewed it in time")
		case <-tick.C:
		}
	}
}
