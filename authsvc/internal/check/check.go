package check

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/resource"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	maxCookieBytes = 16 << 10
	slowLimit      = 1900 * time.Millisecond // nobody waits 2 s for a verdict
	workLimit      = 1800 * time.Millisecond // of what makes one: its error says what is away
)

// Sessions opens the session behind a cookie, and notes the provider's session
// behind a token.
type Sessions interface {
	Lookup(ctx context.Context, secret session.Secret) (session.Session, error)
	Note(ctx context.Context, subject, sid, client string) error
}

// Tokens verifies access tokens and proofs.
type Tokens interface {
	VerifyAccess(ctx context.Context, token string) (provider.Access, error)
	VerifyProof(raw string, want provider.Proof) (id string, until time.Time, err error)
	Generation() uint64
}

// Signer makes assertions.
type Signer interface {
	Sign(id contract.Identity) (assertion string, expires time.Time, err error)
}

// Endings knows which ids have ended.
type Endings interface {
	Ended(ctx context.Context, ids ...string) (map[string]time.Time, error)
}

// Logins keeps the newest access token of each login, for credentials that come
// of it.
type Logins interface {
	Saw(ctx context.Context, who contract.Identity, token string, end time.Time)
}

// Handler answers /auth.
type Handler struct {
	Sessions Sessions
	Tokens   Tokens
	Signer   Signer
	Endings  Endings
	Once     session.Once
	Cookie   session.Cookie
	Rules    resource.Rules
	Contact  string      // whom to ask for what is missing
	Pages    *page.Pages // for what a browser is told
	Audit    *auditlog.Log
	Logins   Logins // told of the tokens of logins; nil for nobody
	Now      func() time.Time
	Log      zerolog.Logger

	cache    *cache
	flight   singleflight.Group
	counts   counts
	refusals refusals
}

// New completes a handler: a bounded cache, and counters in reg.
func New(h *Handler, most int, reg prometheus.Registerer) *Handler {
	h.cache = newCache(most)
	h.counts = newCounts(reg, h.cache)
	return h
}

// Mount adds what people see; /auth itself is outside every router.
func (h *Handler) Mount(r chi.Router) { r.Method(http.MethodGet, DeniedPath, httpkit.Handle(h.denied)) }

// Forget drops what is remembered of an id that has ended.
func (h *Handler) Forget(id string) {
	h.cache.dropEnded(id)
}

// ServeHTTP decides. A request that carries Authorization is judged by that
// alone: a bad token beside a good cookie is refused.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if auth, ok := r.Header["Authorization"]; ok {
		h.serveToken(w, r, auth)
		return
	}
	h.serveCookie(w, r)
}

func (h *Handler) serveCookie(w http.ResponseWriter, r *http.Request) {
	text, ok := h.Cookie.Value(r.Header["Cookie"], maxCookieBytes)
	if !ok {
		h.deny(w, r, denyNothing, "", nil)
		return
	}
	k, secret, ok := cookieKey(text)
	if !ok {
		h.deny(w, r, denyCookie, "", nil)
		return
	}
	now := h.Now()
	v := h.remembered(k, now)
	if v == nil || !v.freshAt(now) {
		var err error
		if v, err = h.lookup(r.Context(), k, secret, v); err != nil {
			h.deny(w, r, reasonOf(err, denyCookie), "", err)
			return
		}
	}
	h.serve(w, r, v)
}

// serve answers with a verdict that stands.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, v *verdict) {
	if why, lacks := h.lacks(v, h.Rules.Of(r.Header.Get(contract.HeaderOriginalURI))); lacks {
		h.deny(w, r, why, v.id.Subject, nil)
		return
	}
	h.count(v)
	v.send(w.Header())
	w.WriteHeader(http.StatusOK)
}

// lacks tells whether a caller who is known still lacks something, and what.
func (h *Handler) lacks(v *verdict, asked resource.Resource) (denial, bool) {
	if v.ofToken && !h.Rules.ScopesOK(v.id, v.reach, asked) {
		return denyScope, true
	}
	return denyRole, !h.Rules.RoleOK(v.id)
}

func (h *Handler) count(v *verdict) {
	if v.ofToken {
		h.counts.token.Inc()
		return
	}
	h.counts.cookie.Inc()
}

// cookieKey is the session's secret and the key of what is remembered of it.
func cookieKey(text string) (key, session.Secret, bool) {
	secret, ok := session.ParseSecret(text)
	return sha256.Sum256(secret[:]), secret, ok
}

// remembered returns the verdict of a key, fresh or stale, or nil.
func (h *Handler) remembered(k key, now time.Time) *verdict {
	v := h.cache.get(k)
	if v != nil && v.freshAt(now) {
		h.counts.hits.Inc()
	} else {
		h.counts.misses.Inc()
	}
	return v
}

// lookup is the slow path: one look at the store for all that ask at once.
func (h *Handler) lookup(ctx context.Context, k key, secret session.Secret, before *verdict) (*verdict, error) {
	return h.once(ctx, k, func(ctx context.Context) (*verdict, error) {
		now := h.Now()
		sess, err := h.Sessions.Lookup(ctx, secret)
		if errors.Is(err, session.ErrNoSession) {
			h.cache.drop(k)
		}
		if err != nil {
			return nil, err
		}
		v := &verdict{
			id: sess.Identity, until: earlier(now.Add(session.Recheck), sess.Identity.Expires), tokenEnd: sess.TokenEnd,
		}
		if h.Logins != nil && (before == nil || before.tokenEnd != v.tokenEnd) {
			h.Logins.Saw(ctx, sess.Identity, sess.AccessToken, sess.TokenEnd)
		}
		if err := h.seal(v, before, now); err != nil {
			return nil, err
		}
		h.cache.put(k, v)
		return v, nil
	})
}

// once runs fn once for all callers with the same key, detached from the one
// that came first, and lets each wait no longer than slowLimit, even where fn
// heeds no deadline.
func (h *Handler) once(ctx context.Context, k key, fn func(context.Context) (*verdict, error)) (*verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, slowLimit)
	defer cancel()
	result := h.flight.DoChan(string(k[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workLimit)
		defer cancel()
		return fn(ctx)
	})
	select {
	case r := <-result:
		v, _ := r.Val.(*verdict)
		return v, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// reasonOf maps an error to the answer: refused for good, or out of reach.
func reasonOf(err error, refused denial) denial {
	switch {
	case errors.Is(err, contract.ErrIdentity):
		return denyIdentity
	case errors.Is(err, session.ErrNoSession), errors.Is(err, provider.ErrToken),
		errors.Is(err, contract.ErrAssertionExpired):
		return refused
	}
	return denyUnavailable
}
