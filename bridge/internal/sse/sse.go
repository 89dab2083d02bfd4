// Package sse is the front of HTTP+SSE (2024-11-05): GET /sse opens the
// stream, whose first event names where to POST; every answer comes on the
// stream. It relays what it gets and does not assume initialize: a client of
// 2026-07-28 may speak over it too.
//
// It must never know another front.
package sse

import (
	"cmp"
	"errors"
	"net/http"
	"path"
	"strings"
	"sync"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
)

// Front serves one server.
type Front struct {
	Table  *session.Table
	Server *fleet.Server
	Prefix string          // in front of Post in the endpoint event
	Post   string          // where Message answers; "" is /message
	Open   *sync.WaitGroup // streams that outlive their handlers
	Body   answer.Body
}

const prefixHeader = "X-Forwarded-Prefix"

// Stream answers GET and HEAD /sse. HEAD starts nothing.
func (f *Front) Stream(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodHead:
		answer.StreamHeader(w)
		return
	case http.MethodGet:
	default:
		w.Header().Set("Allow", "GET, HEAD")
		answer.Refuse(w, http.StatusMethodNotAllowed, rpc.CodeInvalidRequest,
			"only GET opens the stream; POST goes to the endpoint that it names")
		return
	}
	s := f.open(w, r)
	if s == nil {
		return
	}
	over, _ := s.Under(&s.Owner) // who opened it
	out, err := answer.Detach(w)
	if err != nil {
		s.End(session.ErrDeleted)
		answer.Error(w, http.StatusInternalServerError, nil, err)
		return
	}
	post := f.prefix(r) + cmp.Or(f.Post, "/message")
	endpoint := "event: endpoint\ndata: " + post + "?sessionId=" + s.ID.String() + "\n\n"
	f.Open.Go(func() { relay(s, out, endpoint, over) })
}

func (f *Front) open(w http.ResponseWriter, r *http.Request) *session.Session {
	s, err := f.Table.Open(f.Server, *identity.From(r.Context()), "sse")
	if err != nil {
		answer.Error(w, http.StatusServiceUnavailable, nil, err)
		return nil
	}
	return s
}

// relay is the life of an open stream, to which nobody can come back. Nothing of
// the request is held by it.
func relay(s *session.Session, out *answer.Stream, endpoint string, over <-chan struct{}) {
	defer s.End(session.ErrDeleted)
	defer s.Reading()()
	defer out.Close()
	s.Standing.OnSlow(out.Break)
	if out.Raw(endpoint) != nil {
		return
	}
	for told(s.Standing, out) {
		select {
		case <-s.Standing.Wake():
		case <-out.Tick():
			if out.Comment() != nil {
				return
			}
		case <-out.Gone():
			return
		case <-over:
			told(s.Standing, out) // what came before the end
			s.End(session.ErrLapsed)
			return
		}
	}
}

// told writes what waits; false ends the stream.
func told(q *event.Queue, out *answer.Stream) bool {
	for {
		e, ok, err := q.Pop()
		switch {
		case !ok:
			return err == nil
		case e.Silent:
		case out.Event("", e) != nil:
			return false
		}
	}
}

// prefix is the public path in front of /message. One from the proxy counts
// only where it is a plain path: it ends up in a URL that the client follows.
func (f *Front) prefix(r *http.Request) string {
	p := strings.TrimSuffix(r.Header.Get(prefixHeader), "/")
	if !plainPath(p) {
		p = ""
	}
	return p + f.Prefix
}

// plainPath tells whether everybody reads p as the same path. A browser takes
// /<tab>/host for another origin, for it drops tabs (URL Standard, section 4.4).
func plainPath(p string) bool {
	odd := func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && !strings.ContainsRune("/-._~", c)
	}
	return len(p) > 1 && p[0] == '/' && path.Clean(p) == p && !strings.ContainsFunc(p, odd)
}

// SessionOf is the id of the session that a POST names, or "".
func SessionOf(r *http.Request) string {
	if r.URL.RawQuery == "" { // most requests have none
		return ""
	}
	return r.URL.Query().Get("sessionId")
}

// Message answers POST /message.
func (f *Front) Message(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		answer.Refuse(w, http.StatusMethodNotAllowed, rpc.CodeInvalidRequest, "only POST")
		return
	}
	s := f.Table.Find(SessionOf(r), f.Server, identity.From(r.Context()))
	if s == nil || s.Era() != "sse" {
		answer.Refuse(w, http.StatusNotFound, rpc.CodeSession, "no such session")
		return
	}
	body, handed, ok := f.Body.Read(w, r)
	if !ok {
		return
	}
	defer handed()
	m, err := rpc.ParseClient(body)
	if err != nil {
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeOf(err), err.Error())
		return
	}
	if err := f.pass(r, s, &m); err != nil {
		answer.Error(w, http.StatusBadRequest, m.ID(), err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (f *Front) pass(r *http.Request, s *session.Session, m *rpc.Message) error {
	if m.Kind != rpc.Request {
		return s.Send(r.Context(), identity.From(r.Context()), m)
	}
	_, err := s.Call(r.Context(), identity.From(r.Context()), m, s.Standing)
	var refusal *mux.Refusal
	if err == nil || errors.As(err, &refusal) || errors.Is(err, mux.ErrDuplicate) {
		return err
	}
	// The client waits for an answer on its stream, not on this request.
	s.Standing.Push(event.Message(rpc.Response, mux.AsRPC(err).Body(m.ID())))
	return nil
}
