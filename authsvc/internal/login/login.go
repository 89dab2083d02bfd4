// Package login signs a browser in: /login sends it to the provider (code
// flow, PKCE S256, state, nonce), /callback takes its answer, checks that this
// very browser began it, and gives it a session under a new secret.
//
// The way back and the flow's secrets lie in a cookie of this browser, sealed
// with a key of the gate and bound to the state: a stranger who begins a
// thousand logins makes the gate keep nothing. The package must never know how
// a session is stored or a token is verified.
package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const maxCookies = 16 << 10

// Provider is what signing in needs of the identity provider.
type Provider interface {
	AuthURL(state, nonce, verifier, acr, language string) (string, error)
	CheckIssuer(iss string) error
	Exchange(ctx context.Context, code, nonce, verifier string) (provider.Grant, error)
}

// Handler answers /login and /callback.
type Handler struct {
	Provider Provider
	Sessions *session.Sessions
	Cookie   session.Cookie
	Box      *session.Box // seals a login under way
	Once     session.Once
	Pages    *page.Pages
	Contact  string        // whom to ask, "" for nobody in particular
	MaxAge   time.Duration // of the session's cookie
	Now      func() time.Time
	Audit    *auditlog.Log
	AdminACR string                      // how who steps up must sign in
	Ready    func(context.Context) error // nil where a session could be kept now, and would be believed
}

// Mount adds the handler's routes.
func (h *Handler) Mount(r chi.Router) {
	r.Method(http.MethodGet, "/login", httpkit.Handle(h.login))
	r.Method(http.MethodGet, StepUpPath, httpkit.Handle(h.stepUp))
	r.Method(http.MethodGet, "/callback", httpkit.Handle(h.callback))
}

func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	back, err := ReturnPath(h.Pages.Path(""), r.URL.RawQuery)
	if err != nil {
		return h.Pages.Problem(w, r, http.StatusBadRequest, page.Problem{
			Name: "link", Action: "do.signin", ActionPath: "/login",
		}, err)
	}
	return h.begin(w, r, back, "")
}

// StepUpPath is where who is signed in signs in again, in the way that an
// administrator's acts demand.
const StepUpPath = "/account/step-up"

func (h *Handler) stepUp(w http.ResponseWriter, r *http.Request) error {
	return h.begin(w, r, h.Pages.Path("/account"), h.AdminACR)
}

func (h *Handler) begin(w http.ResponseWriter, r *http.Request, back, acr string) error {
	// Nobody is sent to type a password for a sign-in that cannot end well.
	if err := h.Ready(r.Context()); err != nil {
		return h.unavailable(w, r, err)
	}
	state, f := session.NewSecret().Encode(), newFlow(back, h.Now())
	target, err := h.Provider.AuthURL(state, f.Nonce, f.Verifier, acr, h.Pages.Chosen(r))
	if err != nil {
		return h.unavailable(w, r, err)
	}
	cookie, err := sealFlow(h.Box, h.Cookie, state, f)
	if err != nil {
		return err
	}
	for _, name := range surplus(r, h.Cookie, cookie) {
		http.SetCookie(w, loginCookie(name, "", -1))
	}
	http.SetCookie(w, cookie)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target, http.StatusFound) //nolint:gosec // the provider's endpoint, and a language of our list
	return nil
}

func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	since, state := h.Now(), q.Get("state")
	issuerErr := h.Provider.CheckIssuer(q.Get("iss"))
	if errors.Is(issuerErr, provider.ErrNotReady) { // the login stays under way: the same address works in a moment
		return h.unavailable(w, r, issuerErr)
	}
	f, err := openFlow(h.Box, h.Cookie, r, state, since)
	if err != nil {
		return h.stale(w, r, err)
	}
	if issuerErr != nil {
		return h.refused(w, r, issuerErr)
	}
	if code := q.Get("error"); code != "" || q.Get("code") == "" {
		return h.refused(w, r, fmt.Errorf("%w: %.64q", provider.ErrRefused, code))
	}
	grant, err := h.Provider.Exchange(r.Context(), q.Get("code"), f.Nonce, f.Verifier)
	switch {
	case errors.Is(err, contract.ErrIdentity):
		return h.unusable(w, r, err)
	case errors.Is(err, provider.ErrRefused), errors.Is(err, provider.ErrToken):
		return h.refused(w, r, err)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	// Only now, when the provider vouches for somebody, is a mark kept of it.
	first, err := h.Once.First(r.Context(), "login "+state, f.end())
	switch {
	case err != nil:
		return h.unavailable(w, r, err)
	case !first:
		return h.stale(w, r, fmt.Errorf("%w: it was used before", errFlow))
	}
	http.SetCookie(w, loginCookie(cookieName(h.Cookie, state), "", -1))
	return h.admit(w, r, grant, since, f.Return)
}

// admit gives the browser a new secret; what its old one opened ends.
func (h *Handler) admit(
	w http.ResponseWriter,
	r *http.Request,
	grant provider.Grant,
	since time.Time,
	back string,
) error {
	secret, sess, err := h.Sessions.Create(r.Context(), session.Grant(grant), session.Browser{
		IP: r.Header.Get(contract.HeaderRealIP), Agent: r.UserAgent(), Since: since,
	})
	if errors.Is(err, session.ErrNoSession) {
		return h.stale(w, r, fmt.Errorf("it was ended while it was under way: %w", err))
	}
	if err != nil {
		return h.unavailable(w, r, err)
	}
	if text, ok := h.Cookie.Value(r.Header["Cookie"], maxCookies); ok {
		if old, ok := session.ParseSecret(text); ok {
			ctx, cancel := session.Whole(r.Context())
			defer cancel()
			if _, err := h.Sessions.End(ctx, old); err != nil && !errors.Is(err, session.ErrNoSession) {
				return h.unavailable(w, r, err)
			}
		}
	}
	id := sess.Identity
	h.Audit.Write(auditlog.Line{
		Event: "login", User: id.Subject, Email: id.Email, SID: id.SessionID, IP: r.Header.Get(contract.HeaderRealIP),
		RequestID: httpkit.RequestID(r.Context()),
	})
	http.SetCookie(w, loginCookie(h.Cookie.Name(), secret.Encode(), int(h.MaxAge.Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

func (h *Handler) stale(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusBadRequest, page.Problem{
		Name: "stale", Action: "do.signin.again", ActionPath: "/login",
	}, err)
}

func (h *Handler) refused(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusForbidden, page.Problem{
		Name: "refused", Action: "do.retry", ActionPath: "/login",
	}, err)
}

// unusable is for somebody whose identity cannot travel whole: no other try
// would help.
func (h *Handler) unusable(w http.ResponseWriter, r *http.Request, err error) error {
	problem := page.Problem{
		Name: "unusable", Args: []any{err.Error()}, Action: "do.signout", ActionPath: "/logout",
	}
	if h.Contact != "" {
		problem.Name, problem.Args = "unusable-ask", append(problem.Args, h.Contact)
	}
	return h.Pages.Problem(w, r, http.StatusForbidden, problem, err)
}

func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
		Name: "signin-away", Action: "do.retry", ActionPath: "/login",
	}, err)
}
