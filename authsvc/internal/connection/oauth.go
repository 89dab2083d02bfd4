package connection

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/authsvc/internal/credential"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/httpkit"
)

const (
	// flowPart follows the session's name in that of the cookie of a way under way;
	// a part of the state's hash ends it.
	flowPart = "-connect-"
	flowLife = 10 * time.Minute
)

// errFlow says that this browser has no such way under way.
var errFlow = errors.New("no such connection under way")

// begin sends the browser to the provider of an oauth credential.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request) error {
	who, e, err := h.here(w, r)
	if e == nil {
		return err
	}
	if e.Kind != credential.OAuth {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "not a form of this page"}
	}
	state, flow := session.NewSecret().Encode(), h.Credentials.NewFlow(who.Subject, e)
	target, err := h.Credentials.AuthURL(e, state, flow)
	if err != nil {
		return h.unavailable(w, r, err)
	}
	plain, err := json.Marshal(flow)
	if err != nil {
		return fmt.Errorf("connection: %w", err)
	}
	sealed := base64.RawURLEncoding.EncodeToString(h.Box.Seal("connect "+state, plain))
	http.SetCookie(w, h.cookie(state, sealed, int(flowLife.Seconds())))
	http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // the endpoint that the operator named
	return nil
}

// callback takes the provider's answer, from the browser and the user who began.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
	who, e, err := h.here(w, r)
	if e == nil {
		return err
	}
	q := r.URL.Query()
	flow, err := h.open(r, q.Get("state"))
	if err == nil && (flow.Entry != e.Name || flow.Subject != who.Subject) {
		err = fmt.Errorf("%w: it is another user's, or of another connection", errFlow)
	}
	if err != nil {
		return h.Pages.Problem(w, r, http.StatusBadRequest, page.Problem{
			Name: "stale-connection", Action: "do.connect.again", ActionPath: credential.ConnectPath(e.Name),
		}, err)
	}
	http.SetCookie(w, h.cookie(q.Get("state"), "", -1))
	if q.Get("code") == "" {
		err = fmt.Errorf("%w: %.64q", credential.ErrRefused, q.Get("error"))
	} else {
		err = h.Credentials.Connect(r.Context(), who, e, flow, q.Get("code"), q.Get("iss"))
	}
	switch {
	case errors.Is(err, credential.ErrRefused):
		return h.Pages.Problem(w, r, http.StatusForbidden, page.Problem{
			Name: "not-connected", Args: []any{e.Label}, Action: "do.retry", ActionPath: credential.ConnectPath(e.Name),
		}, err)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	http.Redirect(w, r, h.Pages.Path(back), http.StatusSeeOther)
	return nil
}

func (h *Handler) open(r *http.Request, state string) (f credential.Flow, err error) {
	c, err := r.Cookie(h.cookieName(state))
	if err != nil || state == "" {
		return f, errFlow
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return f, errFlow
	}
	plain, err := h.Box.Open("connect "+state, sealed)
	if err != nil {
		return f, errFlow
	}
	if err := json.Unmarshal(plain, &f); err != nil {
		return f, errFlow
	}
	if h.Now().After(time.Unix(f.Born, 0).Add(flowLife)) {
		return f, fmt.Errorf("%w: it was begun more than %s ago", errFlow, flowLife)
	}
	return f, nil
}

func (h *Handler) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return h.Cookie.Name() + flowPart + hex.EncodeToString(sum[:4])
}

// cookie with a negative age takes it away.
func (h *Handler) cookie(state, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: h.cookieName(state), Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}
