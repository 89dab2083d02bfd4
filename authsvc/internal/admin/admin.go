// Package admin answers on the internal listener: the keys that verify
// assertions, which sessions have ended (Contract 3), an administrator's
// revocation, and a caller's credential for a server. Callers says who may ask.
//
// It must never know a cookie, and keeps no token.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-jose/go-jose/v4"

	"gatehouse/authsvc/internal/credential"
	"gatehouse/authsvc/internal/ending"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// PathRevoke takes {"sub": ...}, {"sid": ...} or {"user": name or e-mail} and
// ends what it names.
const PathRevoke = "/internal/sessions/revoke"

// Handler answers the internal paths.
type Handler struct {
	Keys    func() (jose.JSONWebKeySet, error)
	Ended   func(ctx context.Context, ids ...string) (map[string]time.Time, error)
	Ender   *ending.Ender
	Open    *Open // told what the bridges ask about
	Callers Callers
	Now     func() time.Time

	Credentials *credential.Service // nil for none
}

// Mount adds the handler's routes.
func (h *Handler) Mount(r chi.Router) {
	r = r.With(h.Callers.Wrap)
	r.Method(http.MethodGet, contract.PathKeys, httpkit.Handle(h.keys))
	r.Method(http.MethodPost, contract.PathSessionsEnded, httpkit.Handle(h.ended))
	r.Method(http.MethodPost, PathRevoke, httpkit.Handle(h.revoke))
	if h.Credentials != nil {
		r.Method(http.MethodPost, contract.PathCredentials, httpkit.Handle(h.credential))
	}
}

func (h *Handler) keys(w http.ResponseWriter, _ *http.Request) error {
	set, err := h.Keys()
	if err != nil {
		return unavailable(err)
	}
	httpkit.WriteJSON(w, http.StatusOK, set)
	return nil
}

func (h *Handler) ended(w http.ResponseWriter, r *http.Request) error {
	m, err := contract.ReadEndedRequest(r.Body)
	if err != nil {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: err.Error()}
	}
	h.Open.See(m.SIDs, h.Now())
	found, err := h.Ended(r.Context(), m.SIDs...)
	if err != nil {
		return unavailable(err)
	}
	answer := contract.EndedAnswer{Ended: []string{}}
	for _, sid := range m.SIDs {
		if _, ok := found[sid]; ok {
			answer.Ended = append(answer.Ended, sid)
		}
	}
	httpkit.WriteJSON(w, http.StatusOK, answer)
	return nil
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	var m struct{ Sub, SID, User string }
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil || !one(m.Sub, m.SID, m.User) {
		return &httpkit.Error{
			Code: http.StatusBadRequest, Msg: `want {"sub": "..."}, {"sid": "..."} or {"user": "name or e-mail address"}`,
		}
	}
	ctx, by := r.Context(), callerOf(r)
	if m.User != "" {
		subject, err := h.Ender.Find(ctx, m.User)
		if err != nil {
			return notFound(err)
		}
		m.Sub = subject
	}
	var err error
	if m.Sub != "" {
		err = h.Ender.User(ctx, by, m.Sub)
	} else {
		err = h.Ender.Session(ctx, by, "", m.SID)
	}
	if errors.Is(err, ending.ErrProvider) {
		return &httpkit.Error{Code: http.StatusBadGateway,
			Msg: ending.ErrProvider.Error() + ": its client may renew, until this is asked again", Err: err}
	}
	if err != nil {
		return unavailable(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// notFound tells that there is nobody of a name from that nobody could be asked.
func notFound(err error) error {
	if errors.Is(err, ending.ErrNobody) || errors.Is(err, ending.ErrCannotFind) {
		return &httpkit.Error{Code: http.StatusNotFound, Msg: err.Error(), Err: err}
	}
	return &httpkit.Error{
		Code: http.StatusServiceUnavailable, Err: err, Header: http.Header{"Retry-After": {"2"}},
		Msg: "nothing has ended: the identity provider could not be asked who that is; authsvc's log says why",
	}
}

// one reports whether exactly one of the texts is there.
func one(texts ...string) bool {
	n := 0
	for _, text := range texts {
		if text != "" {
			n++
		}
	}
	return n == 1
}

func unavailable(err error) error {
	return &httpkit.Error{
		Code: http.StatusServiceUnavailable, Msg: "a part that this needs is out of reach", Err: err,
		Header: http.Header{"Retry-After": {"2"}},
	}
}
