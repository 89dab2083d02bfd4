// Package connection is where a user connects a credential of their own for a
// server: the page that says what for, the form that takes a secret, the way to
// a provider and back, and the end of it.
//
// Every form is one of this site, and every answer of a provider is taken only
// from the browser and the user who began. It must never know how a credential
// is stored, and shows none.
package connection

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"gatehouse/authsvc/internal/credential"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	maxCookies = 16 << 10
	maxForm    = 64 << 10 // a secret of 16 KB, escaped
	back       = "/account#credentials"
)

// Handler answers what lies below /account/connect/.
type Handler struct {
	Credentials *credential.Service
	Sessions    *session.Sessions
	Box         *session.Box // of what lies in the browser
	Pages       *page.Pages
	Cookie      session.Cookie // the session's
	Origin      string
	LinkURL     string // where accounts are linked at the identity provider
	Now         func() time.Time
}

// Mount adds the handler's routes. A form of another site is refused.
func (h *Handler) Mount(r chi.Router) {
	var guard http.CrossOriginProtection
	_ = guard.AddTrustedOrigin(h.Origin) // checked at the start: it is a bare origin
	base := credential.ConnectPath("{name}")
	r.Method(http.MethodGet, base, httpkit.Handle(h.show))
	r.Method(http.MethodPost, base, guard.Handler(httpkit.Handle(h.enter)))
	r.Method(http.MethodPost, base+"/begin", guard.Handler(httpkit.Handle(h.begin)))
	r.Method(http.MethodGet, credential.CallbackPath("{name}"), httpkit.Handle(h.callback))
	r.Method(http.MethodPost, base+"/end", guard.Handler(httpkit.Handle(h.end)))
}

// view is what the page of one credential shows.
type view struct {
	Row
	Wrong   bool // what was sent cannot be a secret
	LinkURL string
}

// Row is a credential on the page of a user. It holds no value.
type Row struct {
	Name, Label, Help, Kind string
	Connected, Stored       bool
	Since, Expires          time.Time
	Renews                  bool
	Scopes                  []credential.Scope
}

// Rows are the user's credentials.
func (h *Handler) Rows(ctx context.Context, subject string) ([]Row, error) {
	states, err := h.Credentials.States(ctx, subject)
	rows := make([]Row, 0, len(states))
	for _, state := range states {
		rows = append(rows, rowOf(state))
	}
	return rows, err
}

func rowOf(s credential.State) Row {
	r := Row{
		Name: s.Entry.Name, Label: s.Entry.Label, Help: s.Entry.Help, Kind: string(s.Entry.Kind),
		Connected: s.Connected, Stored: s.Entry.Stored(), Renews: s.Renews, Scopes: s.Scopes,
	}
	if s.Connected {
		r.Since = s.Since
	}
	r.Expires = s.Expires
	return r
}

// here is the user and the entry of a request. Where one is not there it has
// answered the request already.
func (h *Handler) here(w http.ResponseWriter, r *http.Request) (who contract.Identity, e *credential.Entry, err error) {
	w.Header().Set("Cache-Control", "no-store")
	if e = h.Credentials.Find(chi.URLParam(r, "name")); e == nil {
		return who, nil, h.Pages.Problem(w, r, http.StatusNotFound, page.Problem{
			Name: "no-connection", Action: "do.account", ActionPath: "/account",
		}, credential.ErrUnknown)
	}
	text, _ := h.Cookie.Value(r.Header["Cookie"], maxCookies)
	secret, ok := session.ParseSecret(text)
	var sess session.Session
	err = session.ErrNoSession
	if ok {
		sess, err = h.Sessions.Lookup(r.Context(), secret)
	}
	if errors.Is(err, session.ErrNoSession) {
		login := h.Pages.Path("/login?return_to=") + h.Pages.Path(credential.ConnectPath(e.Name))
		http.Redirect(w, r, login, http.StatusSeeOther) //nolint:gosec // an entry of the operator's, found by its name
		return who, nil, nil
	}
	if err != nil {
		return who, nil, h.unavailable(w, r, err)
	}
	return sess.Identity, e, nil
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	who, e, err := h.here(w, r)
	if e == nil {
		return err
	}
	return h.page(w, r, http.StatusOK, who, e, false)
}

func (h *Handler) page(
	w http.ResponseWriter, r *http.Request, code int, who contract.Identity, e *credential.Entry, wrong bool,
) error {
	rows, err := h.Rows(r.Context(), who.Subject)
	if err != nil {
		return h.unavailable(w, r, err)
	}
	v := view{Wrong: wrong, LinkURL: h.LinkURL}
	for _, row := range rows {
		if row.Name == e.Name {
			v.Row = row
		}
	}
	return h.Pages.Write(w, r, code, "credential", v)
}

// enter takes a secret that the user gives.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request) error {
	who, e, err := h.here(w, r)
	if e == nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if e.Kind != credential.Entered || r.ParseForm() != nil { // its error quotes what was sent
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "not a form of this page"}
	}
	err = h.Credentials.Enter(r.Context(), who, e, r.PostForm.Get("secret"))
	switch {
	case errors.Is(err, credential.ErrSecret):
		return h.page(w, r, http.StatusBadRequest, who, e, true)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	http.Redirect(w, r, h.Pages.Path(back), http.StatusSeeOther)
	return nil
}

// end disconnects.
func (h *Handler) end(w http.ResponseWriter, r *http.Request) error {
	who, e, err := h.here(w, r)
	if e == nil {
		return err
	}
	err = h.Credentials.Disconnect(r.Context(), who.Subject, who.Subject, e)
	switch {
	case errors.Is(err, credential.ErrRevoke):
		return h.Pages.Problem(w, r, http.StatusBadGateway, page.Problem{
			Name: "half-disconnected", Args: []any{e.Label}, Action: "do.back", ActionPath: back,
		}, err)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	http.Redirect(w, r, h.Pages.Path(back), http.StatusSeeOther)
	return nil
}

func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
		Name: "connection-away", Action: "do.retry", ActionPath: "/account",
	}, err)
}
