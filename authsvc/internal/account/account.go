// Package account is the page of a person who is signed in: who they are, how
// to connect a program to each server that is open to them, and their open
// sessions with a button to end each. An administrator also sees everybody's
// sessions and the last refusals.
//
// It must never know how a session is stored.
package account

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/resource"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	maxCookies = 16 << 10
	maxForm    = 4 << 10
	namesLimit = 2 * time.Second // for all names of clients on a page
)

// Handler answers / and /account, and what lies below the latter.
type Handler struct {
	Sessions *session.Sessions
	Ender    *ending.Ender
	Pages    *page.Pages
	Cookie   session.Cookie
	Origin   string
	Rules    resource.Rules
	Contact  string // whom to ask for what is missing, "" for nobody in particular
	Servers  Servers
	LocalCA  string // file of the authority that clients do not know, "" where the certificate is public
	Admin    Admin

	Credentials Credentials // nil where servers use none
}

// Credentials lists what servers may use in a user's name, without its value.
// Each of the lists is what its template shows.
type Credentials interface {
	Own(ctx context.Context, subject string) (any, error)
	Everyones(ctx context.Context) (any, error)
}

// Servers tells what the bridge has for a person. A nil one knows of no more
// than one endpoint.
type Servers func(context.Context, contract.Identity) ([]contract.Server, error)

// Mount adds the handler's routes. A form of another site is refused.
func (h *Handler) Mount(r chi.Router) {
	var guard http.CrossOriginProtection
	_ = guard.AddTrustedOrigin(h.Origin) // checked at the start: it is a bare origin
	r.Method(http.MethodGet, "/", httpkit.Handle(h.show))
	r.Method(http.MethodGet, "/account", httpkit.Handle(h.show))
	r.Method(http.MethodGet, caPath, httpkit.Handle(h.ca))
	r.Method(http.MethodGet, page.IconPath, httpkit.Handle(page.Icon))
	r.Method(http.MethodGet, "/favicon.ico", httpkit.Handle(page.Icon))
	r.Method(http.MethodPost, "/account/sessions/end", guard.Handler(httpkit.Handle(h.end)))
	r.Method(http.MethodPost, "/account/clients/end", guard.Handler(httpkit.Handle(h.disconnect)))
	r.Method(http.MethodPost, "/account/everywhere/end", guard.Handler(httpkit.Handle(h.everywhere)))
	r.Method(http.MethodPost, "/account/everyone/end", guard.Handler(httpkit.Handle(h.endAny)))
	r.Method(http.MethodPost, "/account/everyone/person", guard.Handler(httpkit.Handle(h.endPerson)))
	r.Method(http.MethodGet, page.StylePath, httpkit.Handle(page.Style))
}

type view struct {
	Identity  contract.Identity
	Roles     []string
	BuiltIn   []string
	Missing   string // the role without which nobody is let in, "" where it is there
	Contact   string
	RequestID string
	Done      string // what was asked for is done
	Connect   connect
	Browsers  []browser
	SignedIn  []signedIn
	Everyone  *everyone // nil but for an administrator

	Credentials, Holders any

	StepUp     string
	MustStepUp bool
}

// browser groups the sessions of one kind of browser.
type browser struct {
	Name     string
	Sessions []row
}

type row struct {
	SID, RemoteIP, Agent string
	Current              bool
	Created, Seen        time.Time
}

// signedIn is a client that signed in with a token.
type signedIn struct {
	ID, Name string
	Since    time.Time
}

// current returns the session of the request. Where there is none it has
// answered the request already: with a redirect to /login, or with what is wrong.
func (h *Handler) current(w http.ResponseWriter, r *http.Request) (session.Session, bool, error) {
	text, _ := h.Cookie.Value(r.Header["Cookie"], maxCookies)
	secret, ok := session.ParseSecret(text)
	var sess session.Session
	err := session.ErrNoSession
	if ok {
		sess, err = h.Sessions.Lookup(r.Context(), secret)
	}
	if errors.Is(err, session.ErrNoSession) {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, h.Pages.Path("/login"), http.StatusSeeOther)
		return sess, false, nil
	}
	if err != nil {
		return sess, false, h.unavailable(w, r, err)
	}
	return sess, true, nil
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.current(w, r)
	if !ok || err != nil {
		return err
	}
	id := sess.Identity
	list, err := h.Sessions.List(r.Context(), id.Subject)
	if err != nil {
		return h.unavailable(w, r, err)
	}
	tokens, err := h.Sessions.Tokens(r.Context(), id.Subject)
	if err != nil {
		return h.unavailable(w, r, err)
	}
	v := view{Identity: id, Contact: h.Contact, Done: doneOf(r), Browsers: browsers(list, sess), StepUp: h.Admin.StepUp}
	v.Roles, v.BuiltIn = splitRoles(id.Roles)
	v.SignedIn = h.clients(r.Context(), tokens)
	if v.Credentials, err = h.ownCredentials(r.Context(), sess); err != nil {
		return h.unavailable(w, r, err)
	}
	if !h.Rules.RoleOK(id) {
		v.Missing, v.RequestID = h.Rules.Role, httpkit.RequestID(r.Context())
	} else {
		v.Connect = h.connect(r, id)
	}
	v.MustStepUp = h.isAdmin(id) && h.mustStepUp(sess)
	if h.isAdmin(id) && !v.MustStepUp {
		if v.Everyone, err = h.everyone(r, sess); err != nil {
			return h.unavailable(w, r, err)
		}
		if v.Holders, err = h.holders(r.Context()); err != nil {
			return h.unavailable(w, r, err)
		}
	}
	return h.Pages.Write(w, r, http.StatusOK, "account", v)
}

// clients are those that signed in with a token, by the names that people know,
// or by their ids where all of the names do not come in time.
func (h *Handler) clients(ctx context.Context, tokens []session.Noted) (all []signedIn) {
	ctx, cancel := context.WithTimeout(ctx, namesLimit)
	defer cancel()
	for _, n := range tokens {
		all = append(all, signedIn{n.Client, h.Ender.ClientName(ctx, n.Client), n.Since})
	}
	return all
}

// splitRoles tells the roles that somebody gave from those that Keycloak gives
// everybody.
func splitRoles(roles []string) (given, builtIn []string) {
	for _, role := range roles {
		if role == "offline_access" || role == "uma_authorization" || strings.HasPrefix(role, "default-roles-") {
			builtIn = append(builtIn, role)
		} else {
			given = append(given, role)
		}
	}
	return given, builtIn
}

// browsers groups the sessions by browser, in the order in which they come.
func browsers(list []session.Entry, own session.Session) (all []browser) {
	for _, e := range list {
		one := rowOf(e, own)
		at := slices.IndexFunc(all, func(b browser) bool { return b.Name == one.Agent })
		if at < 0 {
			at, all = len(all), append(all, browser{Name: one.Agent})
		}
		all[at].Sessions = append(all[at].Sessions, one)
	}
	return all
}

func (h *Handler) ownCredentials(ctx context.Context, sess session.Session) (any, error) {
	if h.Credentials == nil {
		return nil, nil
	}
	return h.Credentials.Own(ctx, sess.Identity.Subject)
}

func (h *Handler) holders(ctx context.Context) (any, error) {
	if h.Credentials == nil {
		return nil, nil
	}
	return h.Credentials.Everyones(ctx)
}

func rowOf(e session.Entry, own session.Session) row {
	return row{
		SID: e.SID, RemoteIP: e.RemoteIP, Agent: agentName(e.Agent), Current: e.SID == own.Identity.SessionID,
		Created: e.Created, Seen: e.Seen,
	}
}

// What a form did, as the page says it.
const (
	doneSession = "session"
	doneClient  = "client"
	donePerson  = "person"
	doneStreams = "streams"
)

// doneOf is what the form did that sent the browser here. A link of another site
// makes the page say nothing.
func doneOf(r *http.Request) string {
	site := r.Header.Get("Sec-Fetch-Site")
	done := r.URL.Query().Get("done")
	if site == "cross-site" || !slices.Contains([]string{doneSession, doneClient, donePerson, doneStreams}, done) {
		return ""
	}
	return done
}

// end ends one of the person's own sessions: the list that is searched is
// theirs, so another's id finds nothing.
func (h *Handler) end(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.form(w, r)
	if !ok || err != nil {
		return err
	}
	ctx, cancel := session.Whole(r.Context())
	defer cancel()
	if err := h.Sessions.EndOne(ctx, sess.Identity.Subject, r.PostForm.Get("sid")); err != nil {
		return h.unavailable(w, r, err)
	}
	return h.ended(w, r, nil, "/account?done="+doneSession+"#sessions")
}

// disconnect ends what a client has of the person, here and at the provider.
func (h *Handler) disconnect(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.form(w, r)
	if !ok || err != nil {
		return err
	}
	err = h.Ender.Client(r.Context(), sess.Identity.Subject, sess.Identity.Subject, r.PostForm.Get("client"))
	return h.ended(w, r, err, "/account?done="+doneClient+"#clients")
}

// everywhere ends all that the person has, this session too: the next sign-in
// asks for the password.
func (h *Handler) everywhere(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.form(w, r)
	if !ok || err != nil {
		return err
	}
	err = h.Ender.User(r.Context(), sess.Identity.Subject, sess.Identity.Subject)
	return h.ended(w, r, err, "/logout")
}

// form is current for a form that was sent.
func (h *Handler) form(w http.ResponseWriter, r *http.Request) (session.Session, bool, error) {
	sess, ok, err := h.current(w, r)
	if !ok || err != nil {
		return sess, ok, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return sess, false, &httpkit.Error{Code: http.StatusBadRequest, Msg: "not a form", Err: err}
	}
	return sess, true, nil
}

// ended answers a form that ends something.
func (h *Handler) ended(w http.ResponseWriter, r *http.Request, err error, next string) error {
	switch {
	case errors.Is(err, ending.ErrProvider):
		return h.Pages.Problem(w, r, http.StatusBadGateway, page.Problem{
			Name: "half-ended", Action: "do.back", ActionPath: "/account",
		}, err)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	http.Redirect(w, r, h.Pages.Path(next), http.StatusSeeOther)
	return nil
}

func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
		Name: "account-away", Action: "do.retry", ActionPath: "/account",
	}, err)
}
