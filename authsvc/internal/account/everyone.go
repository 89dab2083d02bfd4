package account

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// Admin is what the page shows to those with the role, beside their own.
type Admin struct {
	Role     string                                     // "" shows it to nobody
	ACR      string                                     // how they must have signed in, "" for any way
	StepUp   string                                     // where they do
	Open     func() map[string]bool                     // sids with a stream open at a bridge
	Who      func(sid string) (contract.Identity, bool) // whose a token's sid is
	Refusals func() []Refusal                           // newest first
}

// Refusal is a request that was not let in.
type Refusal struct {
	Time                     time.Time
	Why, RequestID, IP, Path string
}

// everyone is the administrators' part of the page.
type everyone struct {
	Query      string
	People     int // who match the query, of all pages
	Shown      int // sessions on this page
	Streams    int // open at a bridge
	Persons    []person
	Tokens     []token
	Refusals   []Refusal
	Page       int
	Prev, Next int // 0 where there is none
	Pages      int
}

type person struct {
	Subject, Email string
	Sessions       []listed
}

type listed struct {
	row
	Subject, Email string
	Open           bool
}

type token struct{ SID, Subject, Email string }

func (h *Handler) isAdmin(id contract.Identity) bool {
	return h.Admin.Role != "" && id.HasRole(h.Admin.Role)
}

// mustStepUp reports whether an administrator has yet to sign in in the way that
// the acts of one demand.
func (h *Handler) mustStepUp(sess session.Session) bool {
	return h.Admin.ACR != "" && sess.ACR != h.Admin.ACR
}

func (h *Handler) everyone(r *http.Request, own session.Session) (*everyone, error) {
	at, _ := strconv.Atoi(r.URL.Query().Get("page")) // what is no number is the first page
	query := r.URL.Query().Get("q")
	found, err := h.Sessions.All(r.Context(), query, at)
	if err != nil {
		return nil, err
	}
	open := h.Admin.Open()
	v := &everyone{Query: query, People: found.People, Shown: len(found.Sessions), Streams: len(open),
		Page: min(max(at, 1), found.Pages), Pages: found.Pages, Refusals: h.Admin.Refusals()}
	if v.Page > 1 {
		v.Prev = v.Page - 1
	}
	if v.Page < v.Pages {
		v.Next = v.Page + 1
	}
	for _, l := range found.Sessions { // those of one person stand together
		if n := len(v.Persons); n == 0 || v.Persons[n-1].Subject != l.Subject {
			v.Persons = append(v.Persons, person{Subject: l.Subject, Email: l.Email})
		}
		last := &v.Persons[len(v.Persons)-1]
		last.Sessions = append(last.Sessions, listed{rowOf(l.Entry, own), l.Subject, l.Email, open[l.SID]})
	}
	for sid := range open {
		if id, ok := h.Admin.Who(sid); ok && !session.IsOwn(sid) {
			v.Tokens = append(v.Tokens, token{sid, id.Subject, id.Email})
		}
	}
	slices.SortFunc(v.Tokens, func(a, b token) int { return strings.Compare(a.Email+a.SID, b.Email+b.SID) })
	return v, nil
}

// endAny ends a session of anybody, for an administrator: one of ours by its
// owner and id, or what hangs on the provider's session of a token; the
// provider's session as well.
func (h *Handler) endAny(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.adminForm(w, r)
	if !ok || err != nil {
		return err
	}
	subject, sid := r.PostForm.Get("sub"), r.PostForm.Get("sid")
	if sid == "" {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "the form names no session"}
	}
	done := doneStreams
	if session.IsOwn(sid) {
		done = doneSession
	}
	err = h.Ender.Session(r.Context(), sess.Identity.Subject, subject, sid)
	return h.ended(w, r, err, "/account?done="+done+"#everyone")
}

// endPerson ends all that a person has, by user name, e-mail address or id.
func (h *Handler) endPerson(w http.ResponseWriter, r *http.Request) error {
	sess, ok, err := h.adminForm(w, r)
	if !ok || err != nil {
		return err
	}
	subject, who := r.PostForm.Get("sub"), r.PostForm.Get("who")
	if subject == "" && who == "" {
		return &httpkit.Error{Code: http.StatusBadRequest, Msg: "the form names nobody"}
	}
	if subject == "" {
		if subject, err = h.Ender.Find(r.Context(), who); err != nil {
			return h.notFound(w, r, err)
		}
	}
	err = h.Ender.User(r.Context(), sess.Identity.Subject, subject)
	return h.ended(w, r, err, "/account?done="+donePerson+"#everyone")
}

// notFound tells that there is nobody of a name from that nobody could be asked:
// who hears the one has nothing left to do.
func (h *Handler) notFound(w http.ResponseWriter, r *http.Request, err error) error {
	code, problem := http.StatusServiceUnavailable, page.Problem{
		Name: "find-away", Action: "do.back", ActionPath: "/account#everyone",
	}
	switch {
	case errors.Is(err, ending.ErrNobody):
		code = http.StatusNotFound
		problem.Name = "nobody"
	case errors.Is(err, ending.ErrCannotFind):
		code = http.StatusNotFound
		problem.Name = "by-id-alone"
	}
	return h.Pages.Problem(w, r, code, problem, err)
}

func (h *Handler) adminForm(w http.ResponseWriter, r *http.Request) (session.Session, bool, error) {
	sess, ok, err := h.form(w, r)
	if !ok || err != nil {
		return sess, false, err
	}
	if h.isAdmin(sess.Identity) && h.mustStepUp(sess) {
		http.Redirect(w, r, h.Pages.Path(h.Admin.StepUp), http.StatusSeeOther)
		return sess, false, nil
	}
	if !h.isAdmin(sess.Identity) {
		return sess, false, &httpkit.Error{Code: http.StatusForbidden,
			Msg: "only an administrator may end the sessions of others"}
	}
	return sess, true, nil
}
