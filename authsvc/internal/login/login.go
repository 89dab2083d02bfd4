// Package login signs a browser in: /login sends it to the provider (code
// flow, PKCE S256, state, nonce), /callback takes its answer, checks that this
// very browser began it, and gives it a session under a new secret.
//
// The way back and the flow's secrets stay on the server, sealed with a key
// that only this browser's login cookie and the state make. The package must
// never know how a session is stored or a token is verified.
package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/oauth2"

	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	flowCookie = "__Host-gatehouse-login"
	flowLife   = 10 * time.Minute
	kindFlow   = "login"
	maxCookies = 16 << 10
	maxState   = 512
)

// Provider is what signing in needs of the identity provider.
type Provider interface {
	AuthURL(state, nonce, verifier string) (string, error)
	CheckIssuer(iss string) error
	Exchange(ctx context.Context, code, nonce, verifier string) (provider.Grant, error)
}

// Handler answers /login and /callback.
type Handler struct {
	Provider Provider
	Sessions *session.Sessions
	Store    session.Store
	Pages    *page.Pages
	MaxAge   time.Duration // of the session's cookie
}

// flow is what the server keeps of one login.
type flow struct {
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Return   string `json:"return"`
}

// Mount adds the handler's routes.
func (h *Handler) Mount(r chi.Router) {
	r.Method(http.MethodGet, "/login", httpkit.Handle(h.login))
	r.Method(http.MethodGet, "/callback", httpkit.Handle(h.callback))
}

func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	back, err := ReturnPath(r.URL.RawQuery)
	if err != nil {
		return h.Pages.Problem(w, r, http.StatusBadRequest, page.Problem{
			Title: "This sign-in link is not valid",
			Text:  "It asks to send you to another site afterwards, so it was stopped.", Action: "Sign in", ActionPath: "/login",
		}, err)
	}
	browser, ok := browserSecret(r)
	if !ok {
		browser = session.NewSecret()
	}
	state := session.NewSecret()
	f := flow{Nonce: session.NewSecret().Encode(), Verifier: oauth2.GenerateVerifier(), Return: back}
	target, err := h.Provider.AuthURL(state.Encode(), f.Nonce, f.Verifier)
	if err == nil {
		err = h.keep(r.Context(), browser, state, f)
	}
	if err != nil {
		return h.unavailable(w, r, err)
	}
	http.SetCookie(w, &http.Cookie{
		Name: flowCookie, Value: browser.Encode(), Path: "/", MaxAge: int(flowLife.Seconds()),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target, http.StatusFound)
	return nil
}

// flowBox seals with both halves: the browser's and the one that travels.
func flowBox(browser, state session.Secret) *session.Box {
	return session.NewBox(append(browser[:], state[:]...), kindFlow)
}

func (h *Handler) keep(ctx context.Context, browser, state session.Secret, f flow) error {
	plain, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	name := state.Key(kindFlow)
	ok, err := h.Store.Swap(ctx, name, nil, flowBox(browser, state).Seal(name, plain), flowLife)
	if err == nil && !ok {
		err = session.ErrUnavailable
	}
	return err
}

// take returns a flow once: whoever comes second finds nothing.
func (h *Handler) take(ctx context.Context, browser, state session.Secret) (flow, error) {
	var f flow
	name := state.Key(kindFlow)
	values, err := h.Store.Get(ctx, name)
	if err != nil {
		return f, err
	}
	if values[0] == nil {
		return f, errFlow
	}
	plain, err := flowBox(browser, state).Open(name, values[0])
	if err != nil {
		return f, errFlow // another browser began it: leave it to that one
	}
	if ok, err := h.Store.Swap(ctx, name, values[0], nil, 0); err != nil || !ok {
		return f, errors.Join(errFlow, err)
	}
	if err := json.Unmarshal(plain, &f); err != nil {
		return f, fmt.Errorf("%w: %w", errFlow, err)
	}
	return f, nil
}

// errFlow says that this browser has no such login under way.
var errFlow = errors.New("no such login under way")

func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	browser, ok := browserSecret(r)
	state, stateOK := session.ParseSecret(q.Get("state"))
	if !ok || !stateOK {
		return h.stale(w, r, errFlow)
	}
	issuerErr := h.Provider.CheckIssuer(q.Get("iss"))
	if errors.Is(issuerErr, provider.ErrNotReady) { // the login stays under way: the same address works in a moment
		return h.unavailable(w, r, issuerErr)
	}
	f, err := h.take(r.Context(), browser, state)
	if errors.Is(err, session.ErrUnavailable) {
		return h.unavailable(w, r, err)
	}
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
	case errors.Is(err, provider.ErrRefused), errors.Is(err, provider.ErrToken), errors.Is(err, contract.ErrIdentity):
		return h.refused(w, r, err)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	return h.admit(w, r, grant, f.Return)
}

// admit gives the browser a new secret; what its old one opened ends.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, grant provider.Grant, back string) error {
	secret, _, err := h.Sessions.Create(r.Context(), session.Grant(grant), r.Header.Get(contract.HeaderRealIP), r.UserAgent())
	if err != nil {
		return h.unavailable(w, r, err)
	}
	if text, ok := session.CookieValue(r.Header["Cookie"], maxCookies); ok {
		if old, ok := session.ParseSecret(text); ok {
			if _, err := h.Sessions.End(r.Context(), old); err != nil && !errors.Is(err, session.ErrNoSession) {
				return h.unavailable(w, r, err)
			}
		}
	}
	http.SetCookie(w, SessionCookie(secret.Encode(), int(h.MaxAge.Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// SessionCookie is the one cookie that carries a session.
func SessionCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: session.CookieName, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func browserSecret(r *http.Request) (session.Secret, bool) {
	c, err := r.Cookie(flowCookie)
	if err != nil {
		return session.Secret{}, false
	}
	return session.ParseSecret(c.Value)
}

func (h *Handler) stale(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusBadRequest, page.Problem{
		Title: "This sign-in has expired", Text: "It was begun too long ago, in another browser, or was used already. Nothing is wrong with your account.",
		Action: "Sign in again", ActionPath: "/login",
	}, err)
}

func (h *Handler) refused(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusForbidden, page.Problem{
		Title: "You were not signed in", Text: "The identity provider did not confirm who you are.",
		Action: "Try again", ActionPath: "/login",
	}, err)
}

func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
		Title: "Signing in is not possible right now", Text: "A part that it needs is out of reach. Your session, if you have one, is kept.",
		Action: "Try again", ActionPath: "/login",
	}, err)
}
