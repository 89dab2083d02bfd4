// Package account is the page of a person who is signed in: who they are,
// their open sessions with a button to end each, and how to connect a client.
// An administrator also sees everybody's sessions and the last refusals.
//
// It must never know how a session is stored.
package account

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

const (
	maxCookies = 16 << 10
	maxForm    = 4 << 10
)

// Handler answers /account and what lies below it.
type Handler struct {
	Sessions *session.Sessions
	Ender    *ending.Ender
	Pages    *page.Pages
	Cookie   session.Cookie
	Origin   string
	Admin    Admin

	Credentials Credentials // nil where servers use none
}

// Credentials lists what servers may use in a user's name, without its value.
// Each of the lists is what its template shows.
type Credentials interface {
	Own(ctx context.Context, subject string) (any, error)
	Everyones(ctx context.Context) (any, error)
}

// Mount adds the handler's routes. A form of another site is refused.
func (h *Handler) Mount(r chi.Router) {
	var guard http.CrossOriginProtection
	_ = guard.AddTrustedOrigin(h.Origin) // checked at the start: it is a bare origin
	r.Method(http.MethodGet, "/account", httpkit.Handle(h.show))
	r.Method(http.MethodPost, "/account/sessions/end", guard.Handler(httpkit.Handle(h.end)))
	r.Method(http.MethodPost, "/account/clients/end", guard.Handler(httpkit.Handle(h.disconnect)))
	r.Method(http.MethodPost, "/account/everywhere/end", guard.Handler(httpkit.Handle(h.everywhere)))
	r.Method(http.MethodPost, "/account/everyone/end", guard.Handler(httpkit.Handle(h.endAny)))
	r.Method(http.MethodPost, "/account/everyone/person", guard.Handler(httpkit.Handle(h.endPerson)))
	r.Method(http.MethodGet, page.StylePath, httpkit.Handle(page.Style))
}

type view struct {
	Identity contract.Identity
	Sessions []row
	SignedIn []signedIn
	Clients  []client
	Everyone *everyone // nil but for an administrator

	Credentials, Holders any

	StepUp     string
	MustStepUp bool
}

type row struct {
	SID, RemoteIP, Agent, Created, CreatedISO, Seen, SeenISO string
	Current                                                  bool
}

// signedIn is a client that signed in with a token.
type signedIn struct{ ID, Name, Since, SinceISO string }

type client struct{ Name, How, Text string }

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
	list, err := h.Sessions.List(r.Context(), sess.Identity.Subject)
	if err != nil {
		return h.unavailable(w, r, err)
	}
	v := view{Identity: sess.Identity, Clients: clients(h.Origin + h.Pages.Path(""))}
	for _, e := range list {
		v.Sessions = append(v.Sessions, rowOf(e, sess))
	}
	tokens, err := h.Sessions.Tokens(r.Context(), sess.Identity.Subject)
	if err != nil {
		return h.unavailable(w, r, err)
	}
	for _, n := range tokens {
		v.SignedIn = append(v.SignedIn, signedIn{
			n.Client, h.Ender.ClientName(r.Context(), n.Client), human(n.Since), n.Since.Format(time.RFC3339),
		})
	}
	if v.Credentials, err = h.ownCredentials(r.Context(), sess); err != nil {
		return h.unavailable(w, r, err)
	}
	v.StepUp = h.Admin.StepUp
	v.MustStepUp = h.isAdmin(sess.Identity) && h.mustStepUp(sess)
	if h.isAdmin(sess.Identity) && !v.MustStepUp {
		if v.Everyone, err = h.everyone(r, sess); err != nil {
			return h.unavailable(w, r, err)
		}
		if v.Holders, err = h.holders(r.Context()); err != nil {
			return h.unavailable(w, r, err)
		}
	}
	return h.Pages.Write(w, http.StatusOK, "account", v)
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
		Created: human(e.Created), CreatedISO: e.Created.Format(time.RFC3339),
		Seen: human(e.Seen), SeenISO: e.Seen.Format(time.RFC3339),
	}
}

func human(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// end ends one of the person's own sessions: the list that is searched is
// theirs, so another's id finds nothing.
func (h *Handler) end(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.form(w, r)
	if !ok || err != nil {
		return err
	}
	if err := h.Sessions.EndOne(r.Context(), sess.Identity.Subject, r.PostForm.Get("sid")); err != nil {
		return h.unavailable(w, r, err)
	}
	http.Redirect(w, r, h.Pages.Path("/account"), http.StatusSeeOther)
	return nil
}

// disconnect ends what a client has of the person, here and at the provider.
func (h *Handler) disconnect(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.form(w, r)
	if !ok || err != nil {
		return err
	}
	err = h.Ender.Client(r.Context(), sess.Identity.Subject, sess.Identity.Subject, r.PostForm.Get("client"))
	return h.ended(w, r, err, "/account#clients")
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
			Title: "Ended here, not at your identity provider",
			Text: "What you ended is closed here. Your identity provider could not be told, " +
				"so that a client may still renew there.",
			Action: "Back", ActionPath: "/account",
		}, err)
	case err != nil:
		return h.unavailable(w, r, err)
	}
	http.Redirect(w, r, h.Pages.Path(next), http.StatusSeeOther)
	return nil
}

func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
		Title:  "Your account cannot be shown right now",
		Text:   "A part that it needs is out of reach. You are still signed in.",
		Action: "Try again", ActionPath: "/account",
	}, err)
}

func clients(public string) []client {
	mcp, sse := public+"/mcp", public+"/sse"
	return []client{
		{"Claude Code", "Run this once; it signs you in with your browser.",
			"claude mcp add --transport http gatehouse " + mcp},
		{"Claude, ChatGPT", "Add a custom connector with this address.", mcp},
		{
			"Claude Desktop",
			"Add this to claude_desktop_config.json.",
			`{"mcpServers": {"gatehouse": {"command": "npx", "args": ["-y", "mcp-remote", "` + mcp + `"]}}}`,
		},
		{"Cursor", "Add this to ~/.cursor/mcp.json.", `{"mcpServers": {"gatehouse": {"url": "` + mcp + `"}}}`},
		{"VS Code", "Add this to .vscode/mcp.json.", `{"servers": {"gatehouse": {"type": "http", "url": "` + mcp + `"}}}`},
		{"MCP Inspector", "Run this, choose Streamable HTTP and connect.",
			"npx @modelcontextprotocol/inspector --transport http --server-url " + mcp},
		{
			"A client that speaks only stdio",
			"With an access token in the variable TOKEN.",
			`npx -y supergateway --sse ` + sse + ` --oauth2Bearer "$TOKEN"`,
		},
	}
}
