package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/bridge/internal/connect/outbound"
)

// Options say for what and how to sign in.
type Options struct {
	URL          string
	Dir          string // of the tokens, 0700
	Keys         Keys   // the system's keyring; nil where none can be had
	Seal         bool   // what is kept, with a key of the keyring; what was sealed once stays so
	Transport    http.RoundTripper
	ClientID     string // registered ahead, or the URL of a client id metadata document; "" registers
	ClientSecret string
	Issuer       string   // the one authorization server to sign in at; "" trusts the resource's word
	Scopes       []string // asked for beside those that the server wants
	Port         int      // of the loopback redirect; 0 takes a free one
	Device       bool     // the device grant in place of a browser
	Browse       func(url string) error
	Tell         func(text string) // what the user has to know
	Now          func() time.Time
}

// Source gives the tokens for one server. It is safe for concurrent use.
type Source struct {
	opts  Options
	url   *url.URL
	store *store

	turn   chan struct{} // held by who refreshes or signs in
	mu     sync.Mutex
	record *record // as last read or written; never changed in place
	signed string  // the token of the last sign-in here
	failed failed  // the last sign-in that led to nothing
}

// failed answers for a moment who asks after a sign-in that failed: a client
// may try in two ways, and its user has said no once.
type failed struct {
	err error
	at  time.Time
}

const sameAnswer = 5 * time.Second

// ErrSignedOut says that there is nothing to sign out of.
var ErrSignedOut = errors.New("not signed in")

// New checks the options.
func New(o Options) (*Source, error) {
	u, err := outbound.Check(o.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("the address of the server: %w", err)
	}
	u.Fragment = ""
	if _, err := outbound.Check(o.Issuer, nil); o.Issuer != "" && err != nil {
		return nil, fmt.Errorf("the authorization server: %w", err)
	}
	if o.Seal && o.Keys == nil {
		return nil, errors.New("there is no keyring to seal with")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Source{opts: o, url: u, store: newStore(o.Dir, u, o.Keys, o.Seal), turn: make(chan struct{}, 1)}, nil
}

// alone runs do while nobody else here or in another process changes the
// record. do may change the record that it is given; what it leaves is saved
// where it returns nil.
func (s *Source) alone(ctx context.Context, do func(r *record) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.store.locked(ctx, func() error {
		r, err := s.store.load(ctx)
		if err != nil {
			return err
		}
		before := r.Token
		err = do(r)
		if r.keep || err == nil && r.Token != before {
			r.URL = s.url.String()
			err = errors.Join(err, s.store.save(ctx, r))
		}
		if err == nil {
			s.set(r)
		}
		return err
	})
}

func (s *Source) set(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record = r
}

// Token is the token to send now: a stored one, refreshed where it is about to
// end; "" where there is none, so that the server's refusal begins a sign-in.
func (s *Source) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	r := s.record
	s.mu.Unlock()
	if r == nil {
		var err error
		if r, err = s.store.load(ctx); err != nil {
			return "", err
		}
		if r.keep { // it is plain, and is to be sealed
			if err := s.alone(ctx, func(now *record) error { r = now; return nil }); err != nil {
				return "", err
			}
		}
		s.set(r)
	}
	now := s.opts.Now()
	if r.Token == nil {
		return "", nil
	}
	if r.Token.good(now) {
		return r.Token.Access, nil
	}
	var access string
	err := s.alone(ctx, func(r *record) error {
		if r.Token.good(s.opts.Now()) { // another process was here
			access = r.Token.Access
			return nil
		}
		err := s.refresh(ctx, r)
		if err == nil || r.Token == nil { // refused for good: sign in
			access = r.access()
			return nil
		}
		if now.Before(r.Token.Expires) { // it serves a little longer
			access = r.Token.Access
			return nil
		}
		return err
	})
	return access, err
}

func (r *record) access() string {
	if r.Token == nil {
		return ""
	}
	return r.Token.Access
}

// refresh gets a new token for the old one. Where the authorization server
// refuses for good, none is left.
func (s *Source) refresh(ctx context.Context, r *record) error {
	if r.Token == nil || r.Token.Refresh == "" || r.Issuer == nil {
		r.Token = nil
		return ErrSignedOut
	}
	known, ok := r.Clients[r.Issuer.Issuer]
	if !ok {
		r.Token = nil
		return ErrSignedOut
	}
	token, err := s.exchange(ctx, r, known, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {r.Token.Refresh},
	})
	s.forgetUnknown(r, err)
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 &&
		refused.Response.StatusCode != http.StatusTooManyRequests {
		r.Token = nil
		return fmt.Errorf("the refresh was refused: %s", refused.ErrorCode)
	}
	if err != nil {
		return plainly(err)
	}
	if token.RefreshToken == "" {
		token.RefreshToken = r.Token.Refresh // it stays good (RFC 6749, section 6)
	}
	r.Token, err = s.given(token)
	return err
}

// given keeps what we need of a token.
func (s *Source) given(t *oauth2.Token) (*grant, error) {
	if t.Type() != "Bearer" {
		return nil, fmt.Errorf("the authorization server gave a token of the type %q; only Bearer is spoken here", t.Type())
	}
	for _, c := range []byte(t.AccessToken) {
		if c <= ' ' || c > '~' {
			return nil, errors.New("the authorization server gave a token that no header can carry")
		}
	}
	return &grant{Access: t.AccessToken, Refresh: t.RefreshToken, Given: s.opts.Now(), Expires: t.Expiry}, nil
}

// Refused gets another token after one was refused: what another process got
// meanwhile, a refreshed one, or one of a new sign-in.
func (s *Source) Refused(ctx context.Context, token string, status int, h http.Header) error {
	c := readChallenge(h)
	return s.alone(ctx, func(r *record) error {
		if status == http.StatusForbidden {
			if r.Token.good(s.opts.Now()) && r.Token.Access != token {
				return nil
			}
			if missing := without(c.scopes, r.Scopes); len(missing) == 0 {
				return errors.New(
					"the server wants a scope that was asked for already, and not given: " + strings.Join(c.scopes, " "),
				)
			}
			doc, err := s.findResource(ctx, c)
			if err != nil {
				return err
			}
			return s.signIn(ctx, r, doc, c, r.Scopes)
		}
		if r.Token.good(s.opts.Now()) && r.Token.Access != token {
			return nil
		}
		doc, err := s.findResource(ctx, c)
		if err != nil {
			return err
		}
		same := r.Issuer != nil && slices.Contains(doc.Servers, r.Issuer.Issuer)
		if same && r.Token != nil && r.Token.Refresh != "" && s.refresh(ctx, r) == nil {
			return nil
		}
		if same && token != "" && token == s.signed && s.recent(r) {
			return errors.New("the server refuses the token that its own authorization server has just given")
		}
		if now := s.opts.Now(); s.failed.err != nil && now.Sub(s.failed.at) < sameAnswer {
			return s.failed.err
		}
		err = s.signIn(ctx, r, doc, c, nil)
		s.failed = failed{err, s.opts.Now()}
		return err
	})
}

const justNow = time.Minute

// recent reports whether the last token is of a moment ago.
func (s *Source) recent(r *record) bool {
	return r.Token != nil && s.opts.Now().Sub(r.Token.Given) < justNow
}

func without(list, have []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(one string) bool { return slices.Contains(have, one) })
}
