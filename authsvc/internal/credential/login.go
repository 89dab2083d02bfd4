package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/contract"
)

// ErrStale says that no access token of the login is at hand that still counts.
// The next request of the caller brings one.
var ErrStale = errors.New("no current token of this login is known; the next request brings it")

// token is the newest access token of a login.
type token struct {
	Value string    `json:"value"`
	End   time.Time `json:"end"`
}

// Saw keeps the access token of a login, sealed and until its end, where an
// entry is made from such. What cannot be kept is no reason to refuse a request.
func (s *Service) Saw(ctx context.Context, who contract.Identity, value string, end time.Time) {
	if value == "" || !hasLogin(who) || !s.NeedsTokens() || !s.Now().Before(end) {
		return
	}
	name := s.name(kindLogin, who.Subject, who.SessionID)
	err := s.swap(ctx, name, end.Sub(s.Now()), func(old []byte) ([]byte, error) {
		if have := s.token(name, old); have.End.After(end) {
			return old, nil
		}
		plain, err := json.Marshal(token{value, end})
		if err != nil {
			return nil, errors.New("token: it has no form in JSON")
		}
		return s.Box.Seal(name, plain), nil
	})
	if err != nil {
		s.Log.Warn().Err(err).Msg("a login's token was not kept: its exchanged and linked credentials wait for the next")
	}
}

func (s *Service) token(name string, sealed []byte) (t token) {
	if sealed == nil {
		return t
	}
	if plain, err := s.Box.Open(name, sealed); err == nil {
		_ = json.Unmarshal(plain, &t) // what we sealed ourselves
	}
	return t
}

// fromLogin gets a credential for the token of the caller's login.
func (s *Service) fromLogin(ctx context.Context, who contract.Identity, e *Entry) (Secret, error) {
	name := s.name(kindLogin, who.Subject, who.SessionID)
	values, err := s.Store.Get(ctx, name)
	if err != nil {
		return Secret{}, err
	}
	t := s.token(name, values[0])
	if !s.Now().Before(t.End) {
		return Secret{}, ErrStale
	}
	var secret Secret
	if e.Kind == Exchange {
		secret.Value, secret.Expires, err = s.Provider.ExchangeToken(ctx, t.Value, e.Audience, e.Scopes)
	} else {
		secret.Value, secret.Expires, err = s.Provider.LinkedToken(ctx, t.Value, e.Provider)
	}
	if err == nil {
		return secret, nil
	}
	if s.Refused(err) {
		s.Log.Info().Err(err).Str("credential", e.Name).Msg("the identity provider gives no credential")
		return Secret{}, &Missing{e, e.Kind.missing()}
	}
	return Secret{}, fmt.Errorf("the identity provider gave no credential: %w", err)
}

func (k Kind) missing() string {
	if k == Exchange {
		return "the identity provider does not exchange the token of this login"
	}
	return "no account is linked at the identity provider, or its token may not be read"
}
