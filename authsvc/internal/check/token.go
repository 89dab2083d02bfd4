package check

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

// endedLimit bounds how long a Bearer caller waits to learn whether its session
// has ended: where the store is out of reach, tokens go on to their own end.
const endedLimit = 300 * time.Millisecond

const (
	schemeBearer = "Bearer"
	schemeDPoP   = "DPoP"
)

// parseAuthorization reads one Authorization header (RFC 6750, 2.1; RFC 9449,
// 7.1). Two headers, or anything beside scheme and token, is nothing.
func parseAuthorization(values []string) (scheme, token string, ok bool) {
	if len(values) != 1 || len(values[0]) > provider.MaxTokenBytes {
		return "", "", false
	}
	scheme, token, ok = strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !ok || token == "" {
		return "", "", false
	}
	for i := 0; i < len(token); i++ {
		if c := token[i]; c <= ' ' || c >= 0x7f || c == ',' {
			return "", "", false
		}
	}
	switch {
	case strings.EqualFold(scheme, schemeBearer):
		return schemeBearer, token, true
	case strings.EqualFold(scheme, schemeDPoP):
		return schemeDPoP, token, true
	}
	return "", "", false
}

func (h *Handler) serveToken(w http.ResponseWriter, r *http.Request, auth []string) {
	scheme, token, ok := parseAuthorization(auth)
	if !ok {
		h.deny(w, r, denyToken, "", errScheme)
		return
	}
	k := tokenKey(token)
	now := h.Now()
	v := h.remembered(k, now)
	if v == nil || !v.freshAt(now) {
		var err error
		if v, err = h.verify(r.Context(), k, token, v); err != nil {
			h.deny(w, r, reasonOf(err, denyToken), "", err)
			return
		}
	}
	if !v.reach.Opens(h.Rules.Of(r.Header.Get(contract.HeaderOriginalURI))) {
		h.deny(w, r, denyAudience, v.id.Subject, errElsewhere)
		return
	}
	switch bound := v.thumbprint != ""; {
	case bound && scheme != schemeDPoP:
		h.deny(w, r, denyProof, v.id.Subject, nil)
		return
	case !bound && scheme == schemeDPoP:
		h.deny(w, r, denyToken, v.id.Subject, nil) // a proof for nothing
		return
	case bound:
		if err := h.prove(r, token, v.thumbprint); err != nil {
			h.deny(w, r, reasonOf(err, denyProof), v.id.Subject, err)
			return
		}
	}
	h.serve(w, r, v)
}

// errScheme is of an Authorization that nothing here can be made of.
var errScheme = fmt.Errorf("%w: want one Authorization with Bearer or DPoP and a token of at most %d bytes",
	provider.ErrToken, provider.MaxTokenBytes)

// errElsewhere is of a token that opens another server than the one asked for.
var errElsewhere = fmt.Errorf("%w: it was made for another resource of this gate", provider.ErrToken)

// tokenKey is the key of what is remembered of a token.
func tokenKey(token string) key { return sha256.Sum256([]byte(token)) }

// verify is the slow path. A token that was verified with keys that still
// stand is not verified again, only asked after.
func (h *Handler) verify(ctx context.Context, k key, token string, before *verdict) (*verdict, error) {
	return h.once(ctx, k, func(ctx context.Context) (*verdict, error) {
		now := h.Now()
		v, err := h.verified(ctx, token, before, now)
		if err != nil {
			h.cache.drop(k)
			return nil, err
		}
		ended, unknown := h.ended(ctx, v)
		if ended {
			h.cache.drop(k)
			return nil, session.ErrNoSession
		}
		v.noted = before != nil && before.noted
		if !v.noted && unknown == nil {
			v.noted = h.note(ctx, v)
		}
		if before == nil {
			h.saw(ctx, v, token)
		}
		v.until = earlier(now.Add(session.Recheck), v.id.Expires)
		if err := h.seal(v, before, now); err != nil {
			return nil, err
		}
		h.cache.put(k, v)
		return v, nil
	})
}

func (h *Handler) verified(ctx context.Context, token string, before *verdict, now time.Time) (*verdict, error) {
	generation := h.Tokens.Generation()
	if before != nil && before.generation == generation && now.Before(before.id.Expires) {
		again := *before
		return &again, nil
	}
	a, err := h.Tokens.VerifyAccess(ctx, token)
	if err != nil {
		return nil, err
	}
	reach := h.Rules.Reach(a.Audience)
	if !reach.Any() {
		return nil, fmt.Errorf("%w: its audience %.256q is not this gate", provider.ErrToken, a.Audience)
	}
	return &verdict{
		id: a.Identity, ofToken: true, reach: reach, party: a.Party, issued: a.IssuedAt, thumbprint: a.Thumbprint,
		generation: generation,
	}, nil
}

// ended reports whether the token's session, or all that its user had when it
// was issued, has ended. With an error it says what is known here.
func (h *Handler) ended(ctx context.Context, v *verdict) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, endedLimit)
	defer cancel()
	user := session.UserEnding(v.id.Subject)
	client := session.ClientEnding(v.id.Subject, v.party)
	ids := []string{user, client}
	if v.id.SessionID != "" {
		ids = append(ids, v.id.SessionID)
	}
	ended, err := h.Endings.Ended(ctx, ids...)
	if _, ok := ended[v.id.SessionID]; ok {
		return true, err
	}
	for _, id := range ids[:2] {
		if at, ok := ended[id]; ok && !v.issued.After(at) {
			return true, err
		}
	}
	return false, err
}

// note makes a token's session known to whoever ends all of its user's, and
// reports whether it is. Where the store is out of reach the token goes on, as it
// does in ended, and each look at it tries again.
func (h *Handler) note(ctx context.Context, v *verdict) bool {
	if v.id.SessionID == "" {
		return true // a machine's: it ends with its token
	}
	ctx, cancel := context.WithTimeout(ctx, endedLimit)
	defer cancel()
	if err := h.Sessions.Note(ctx, v.id.Subject, v.id.SessionID, v.party); err != nil {
		h.Log.Warn().Err(err).Msg("a token's session was not noted yet: ending its user would not close its streams")
		return false
	}
	return true
}

// saw keeps a token of its login. One that is bound to a key is of no use to
// anybody else.
func (h *Handler) saw(ctx context.Context, v *verdict, token string) {
	if h.Logins == nil || v.thumbprint != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endedLimit)
	defer cancel()
	h.Logins.Saw(ctx, v.id, token, v.id.Expires)
}

// prove checks the DPoP proof of one request, and that it is its first use.
func (h *Handler) prove(r *http.Request, token, thumbprint string) error {
	proofs := r.Header["Dpop"]
	if len(proofs) != 1 {
		return fmt.Errorf("%w: %d DPoP proofs, want one", provider.ErrToken, len(proofs))
	}
	u, err := url.ParseRequestURI(r.Header.Get(contract.HeaderOriginalURI))
	if err != nil {
		return provider.ErrToken
	}
	id, until, err := h.Tokens.VerifyProof(proofs[0], provider.Proof{
		Method: r.Header.Get(contract.HeaderOriginalMethod), URL: h.Rules.URL(u.EscapedPath()),
		Token: token, Thumbprint: thumbprint,
	})
	if err != nil {
		return err
	}
	first, err := h.Once.First(r.Context(), "dpop "+thumbprint+" "+id, until)
	if err != nil {
		return err // a replay cannot be told: closed
	}
	if !first {
		return fmt.Errorf("%w: the DPoP proof was used before", provider.ErrToken)
	}
	return nil
}
