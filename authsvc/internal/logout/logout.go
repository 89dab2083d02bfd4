// Package logout ends sessions: /logout for a person (RP-Initiated Logout 1.0),
// /backchannel-logout for the provider (Back-Channel Logout 1.0), and
// /frontchannel-logout for a provider that can only send the browser.
//
// It must never know how an ending reaches the other replicas.
package logout

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	maxCookies = 16 << 10
	maxForm    = 64 << 10
)

// Provider is what logging out needs of the identity provider.
type Provider interface {
	LogoutURL(idToken, back string) string
	Is(issuer string) bool
	VerifyLogout(ctx context.Context, token string) (provider.Logout, error)
}

// Handler answers both.
type Handler struct {
	Provider Provider
	Sessions *session.Sessions
	Once     session.Once
	Pages    *page.Pages
	Cookie   session.Cookie
	Origin   string
	Audit    *auditlog.Log
}

// Mount adds the handler's routes. A form of another site is refused.
func (h *Handler) Mount(r chi.Router) {
	var guard http.CrossOriginProtection
	_ = guard.AddTrustedOrigin(h.Origin) // checked at the start: it is a bare origin
	r.Method(http.MethodGet, "/logout", httpkit.Handle(h.ask))
	r.Method(http.MethodPost, "/logout", guard.Handler(httpkit.Handle(h.leave)))
	r.Method(http.MethodPost, "/backchannel-logout", httpkit.Handle(h.backchannel))
	r.Method(http.MethodGet, "/frontchannel-logout", httpkit.Handle(h.frontchannel))
}

// ask signs out at once where the person typed or clicked it here; a link on
// another site only gets a question (logout CSRF).
func (h *Handler) ask(w http.ResponseWriter, r *http.Request) error {
	if _, ok := h.Cookie.Value(r.Header["Cookie"], maxCookies); !ok {
		return h.Pages.Write(w, r, http.StatusOK, "signedout", nil)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "none" && site != "same-origin" || r.URL.Query().Has("lang") { // the question, in another language
		return h.Pages.Write(w, r, http.StatusOK, "signout", nil)
	}
	return h.leave(w, r)
}

func (h *Handler) leave(w http.ResponseWriter, r *http.Request) error {
	idToken := ""
	text, _ := h.Cookie.Value(r.Header["Cookie"], maxCookies)
	if secret, ok := session.ParseSecret(text); ok {
		ctx, cancel := session.Whole(r.Context())
		defer cancel()
		sess, err := h.Sessions.End(ctx, secret)
		if err != nil && !errors.Is(err, session.ErrNoSession) {
			return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
				Name: "signout-away", Action: "do.retry", ActionPath: "/logout",
			}, err)
		}
		idToken = sess.IDToken
		if err == nil {
			h.Audit.Write(auditlog.Line{Event: "ended", By: sess.Identity.Subject, User: sess.Identity.Subject,
				SID: sess.Identity.SessionID})
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: h.Cookie.Name(), Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, h.Provider.LogoutURL(idToken, h.Origin+h.Pages.Path("/logout")), http.StatusSeeOther)
	return nil
}

// backchannel answers as 2.8 of the specification says: 200, or 400.
func (h *Handler) backchannel(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "not a form", Err: err}
	}
	l, err := h.Provider.VerifyLogout(r.Context(), r.PostForm.Get("logout_token"))
	if errors.Is(err, provider.ErrToken) {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "invalid logout_token", Err: err}
	}
	if err != nil {
		return unavailable(err)
	}
	if err := h.endOnce(r.Context(), l); err != nil {
		return err
	}
	h.Audit.Write(auditlog.Line{Event: "ended", By: "the provider", User: l.Subject, SID: l.SID})
	w.WriteHeader(http.StatusOK)
	return nil
}

// endOnce ends what a logout token names, once for each token.
func (h *Handler) endOnce(caller context.Context, l provider.Logout) error {
	ctx, cancel := session.Whole(caller)
	defer cancel()
	id := "logout " + l.ID
	first, err := h.Once.First(ctx, id, l.Expires)
	if err != nil {
		return unavailable(err)
	}
	if !first {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "logout_token was used before"}
	}
	if l.SID != "" {
		err = h.Sessions.EndProvider(ctx, l.SID, l.Subject)
	} else {
		err = h.Sessions.EndUser(ctx, l.Subject)
	}
	if err != nil {
		return unavailable(errors.Join(err, h.again(caller, id)))
	}
	return nil
}

// again lets the provider send the same token once more. It has a time of its
// own: what failed may have used its own up.
func (h *Handler) again(caller context.Context, id string) error {
	ctx, cancel := session.Whole(caller)
	defer cancel()
	return h.Once.Undo(ctx, id)
}

// frontchannel is asked by the browser, from a frame of the provider's own page
// (Front-Channel Logout 1.0, 2). Nobody signed it, so it ends only a session
// whose sid it knows, and leaves nothing behind for one that it does not.
func (h *Handler) frontchannel(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	q := r.URL.Query()
	sid := q.Get("sid")
	if sid == "" || len(sid) > contract.MaxFieldBytes || !h.Provider.Is(q.Get("iss")) {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "want the iss and the sid of a session of the provider"}
	}
	ctx, cancel := session.Whole(r.Context())
	defer cancel()
	subject, err := h.Sessions.ProviderSubject(ctx, sid)
	if err == nil && subject != "" {
		err = h.Sessions.EndProvider(ctx, sid, subject)
	}
	if err != nil {
		return unavailable(err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func unavailable(err error) error {
	return &httpkit.Error{
		Code: http.StatusServiceUnavailable, Msg: "a part that this needs is out of reach", Err: err,
		Header: http.Header{"Retry-After": {"2"}},
	}
}
