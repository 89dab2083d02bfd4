// Package identity tells who calls: it believes the signed assertion
// (Contract 2) and nothing else, and learns which logins have ended
// (Contract 3). It must never know a session or a message.
package identity

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

type key struct{}

// From returns the caller that a middleware of this package has put there. It
// panics where there was none: a front without one must never answer.
func From(ctx context.Context) *contract.Identity { return ctx.Value(key{}).(*contract.Identity) }

func with(r *http.Request, id *contract.Identity) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key{}, id))
}

// Nobody is the middleware of --identity none: all callers are one.
func Nobody(next http.Handler) http.Handler {
	id := &contract.Identity{Subject: "local"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, with(r, id)) })
}

// ErrStaleKeys means that nobody can tell a forgery from what was signed with a
// new key: authsvc's keys could not be fetched, or were a moment ago.
var ErrStaleKeys = errors.New("the key of the caller's assertion is not known yet")

const (
	leeway      = 5 * time.Second
	remembered  = 16384 // assertions
	cleanBefore = remembered / 2
)

// Verifier checks assertions and remembers those that it believed until they
// expire, so that a signature is paid for once.
type Verifier struct {
	// Believed is told of each assertion that was verified; nil tells nobody. Set
	// it before the first request.
	Believed func(id *contract.Identity, assertion string)

	keys *Keys
	mu   sync.RWMutex
	seen map[string]entry
}

type entry struct {
	id    *contract.Identity
	until time.Time
}

// NewVerifier verifies with keys.
func NewVerifier(keys *Keys) *Verifier { return &Verifier{keys: keys, seen: map[string]entry{}} }

// Wrap is the middleware of --identity signed.
func (v *Verifier) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := v.caller(r)
		if errors.Is(err, ErrStaleKeys) {
			w.Header().Set("Retry-After", strconv.Itoa(int(keysAtMost.Seconds())))
			answer.Refuse(w, http.StatusServiceUnavailable, rpc.CodeBusy, err.Error())
			return
		}
		if err != nil {
			answer.Refuse(w, http.StatusUnauthorized, rpc.CodeInvalidRequest, "no valid assertion of the caller's identity")
			return
		}
		next.ServeHTTP(w, with(r, id))
	})
}

func (v *Verifier) caller(r *http.Request) (*contract.Identity, error) {
	tokens := r.Header.Values(contract.HeaderAssertion)
	if len(tokens) != 1 || tokens[0] == "" {
		return nil, contract.ErrAssertion
	}
	now := time.Now()
	v.mu.RLock()
	e, ok := v.seen[tokens[0]]
	v.mu.RUnlock()
	if ok && now.Before(e.until) {
		return e.id, nil
	}
	return v.verify(r.Context(), tokens[0], now)
}

func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (*contract.Identity, error) {
	id, until, err := contract.VerifyAssertion(token, v.keys.Current(), now, leeway)
	if errors.Is(err, contract.ErrUnknownKey) {
		fresh := v.keys.Refresh(ctx)
		id, until, err = contract.VerifyAssertion(token, v.keys.Current(), now, leeway)
		if errors.Is(err, contract.ErrUnknownKey) && !fresh {
			err = ErrStaleKeys
		}
	}
	if err != nil {
		return nil, err
	}
	if v.Believed != nil {
		v.Believed(&id, token)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= remembered {
		v.clean(now)
	}
	v.seen[token] = entry{&id, until}
	return &id, nil
}

// clean forgets what has expired, and then what comes first, until there is
// room. The lock is held.
func (v *Verifier) clean(now time.Time) {
	for token, e := range v.seen {
		if !now.Before(e.until) {
			delete(v.seen, token)
		}
	}
	for token := range v.seen {
		if len(v.seen) < cleanBefore {
			return
		}
		delete(v.seen, token)
	}
}
