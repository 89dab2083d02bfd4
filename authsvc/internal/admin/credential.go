package admin

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/authsvc/internal/credential"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// shownAgain is how old an assertion may be that is shown for a renewal. The
// end of its login bounds it further, and what has ended gets nothing.
const shownAgain = 24 * time.Hour

// credential gives the bridge what the caller of the assertion has for a server.
func (h *Handler) credential(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	m, err := contract.ReadCredentialRequest(r.Body)
	if err != nil {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: err.Error()}
	}
	keys, err := h.Keys()
	if err != nil {
		return unavailable(err)
	}
	who, _, err := contract.VerifyAssertion(m.Assertion, keys, h.Now(), shownAgain)
	if err != nil {
		return &httpkit.Error{Code: http.StatusForbidden, Msg: "the assertion does not count", Err: err}
	}
	secret, err := h.Credentials.Issue(r.Context(), credential.Ask{
		Caller: who, Name: m.Name, Server: m.Server, Have: m.Have, By: callerOf(r),
	})
	if err != nil {
		return h.noCredential(w, err)
	}
	answer := contract.CredentialAnswer{Secret: secret.Value, Watch: secret.Watch}
	if !secret.Expires.IsZero() {
		answer.Expires = &secret.Expires
	}
	httpkit.WriteJSON(w, http.StatusOK, answer)
	return nil
}

func (h *Handler) noCredential(w http.ResponseWriter, err error) error {
	var missing *credential.Missing
	switch {
	case errors.As(err, &missing):
		httpkit.WriteJSON(w, http.StatusOK, contract.CredentialAnswer{Missing: &contract.MissingCredential{
			Label: missing.Entry.Label, Why: missing.Why,
			Connect: h.Credentials.PublicURL + credential.ConnectPath(missing.Entry.Name),
		}})
		return nil
	case errors.Is(err, credential.ErrStale):
		return &httpkit.Error{Code: http.StatusConflict, Msg: err.Error()}
	case errors.Is(err, credential.ErrUnknown):
		return &httpkit.Error{Code: http.StatusNotFound, Msg: err.Error()}
	case errors.Is(err, credential.ErrEnded), errors.Is(err, credential.ErrNoLogin):
		return &httpkit.Error{Code: http.StatusForbidden, Msg: err.Error(), Err: err}
	}
	return unavailable(err)
}
