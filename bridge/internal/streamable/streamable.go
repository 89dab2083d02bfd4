// Package streamable is the front of Streamable HTTP with sessions (2025-03-26
// with batches, 2025-06-18, 2025-11-25): POST, GET and DELETE on one path. An
// answer that comes first is plain JSON; what comes before an answer makes the
// answer to the POST an event stream, which a client may resume.
//
// Requests of 2026-07-28 come to the same path: dispatch hands them to the
// front of that era. The package must never know how that one answers.
package streamable

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

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
	Modern Modern          // 2026-07-28 and later; may be nil
	Open   *sync.WaitGroup // streams that outlive their handlers
	Body   answer.Body
	Grace  time.Duration // for a call whose client went away without an event id to come back with
}

// Modern serves the requests of 2026-07-28.
type Modern interface {
	http.Handler // for what is no POST
	// Serve answers a POST whose body was read; fault tells why it is no message.
	// It calls handed when the child has the message.
	Serve(w http.ResponseWriter, r *http.Request, m *rpc.Message, handed func(), fault error)
}

// HeaderSession names the session of a request.
const HeaderSession = "Mcp-Session-Id"

const (
	headerVersion = "Mcp-Protocol-Version"
	headerLast    = "Last-Event-Id"
	eraName       = "streamable"
)

// ServeHTTP answers /mcp.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		f.post(w, r)
		return
	case http.MethodGet, http.MethodDelete:
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		answer.Refuse(w, http.StatusMethodNotAllowed, rpc.CodeInvalidRequest, "only GET, POST and DELETE")
		return
	}
	if f.Modern != nil && r.Header.Get(HeaderSession) == "" && modernVersion(r.Header.Get(headerVersion)) {
		f.Modern.ServeHTTP(w, r)
		return
	}
	s := f.named(w, r)
	switch {
	case s == nil:
	case r.Method == http.MethodGet:
		f.get(w, r, s)
	default:
		s.End(session.ErrDeleted)
		w.WriteHeader(http.StatusNoContent)
	}
}

// modernVersion tells whether the header names a version that is not one of
// those with sessions.
func modernVersion(v string) bool { return v != "" && !rpc.HasSessions(v) }

// post reads a message once, and finds by it and the headers who answers it.
func (f *Front) post(w http.ResponseWriter, r *http.Request) {
	if !answer.IsJSON(r.Header.Get("Content-Type")) {
		answer.Refuse(w, http.StatusUnsupportedMediaType, rpc.CodeInvalidRequest, "Content-Type must be application/json")
		return
	}
	body, handed, ok := f.Body.Read(w, r)
	if !ok {
		return
	}
	defer handed()
	m, err := rpc.ParseClient(body)
	switch {
	case f.modern(r, &m):
		f.Modern.Serve(w, r, &m, handed, err)
	case !f.accepts(w, r):
	case errors.Is(err, rpc.ErrBatch):
		f.batch(w, r, body, handed)
	case err != nil:
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeOf(err), err.Error())
	default:
		f.message(w, r, &m, handed)
	}
}

// modern tells whether a POST is of 2026-07-28. An initialize begins a session
// whatever its header says: the version is what it is there to find. What a
// session has agreed on stays good in it, whatever it is.
func (f *Front) modern(r *http.Request, m *rpc.Message) bool {
	header, inSession := r.Header.Get(headerVersion), r.Header.Get(HeaderSession) != ""
	switch {
	case f.Modern == nil, m.Method == "initialize" && m.Version() == "":
		return false
	case header == rpc.Version20260728:
		return !inSession || !f.spoken(r, header)
	case inSession:
		return false
	}
	return m.Version() != "" || m.Method == rpc.Discover
}

// spoken tells whether the version is that of the session which the request
// names.
func (f *Front) spoken(r *http.Request, version string) bool {
	s := f.find(r)
	if s == nil {
		return false
	}
	v := s.Version.Load()
	return v != nil && *v == version
}

func (f *Front) accepts(w http.ResponseWriter, r *http.Request) bool {
	if answer.Accepts(r.Header, "application/json") && answer.Accepts(r.Header, "text/event-stream") {
		return true
	}
	answer.Refuse(w, http.StatusNotAcceptable, rpc.CodeInvalidRequest,
		"Accept must list application/json and text/event-stream")
	return false
}

func (f *Front) message(w http.ResponseWriter, r *http.Request, m *rpc.Message, handed func()) {
	if m.Method != "initialize" && !f.version(w, r, m.ID()) {
		return
	}
	s := f.session(w, r, m)
	switch {
	case s == nil:
	case m.Kind == rpc.Request:
		f.call(w, r, s, m, handed)
	default:
		f.send(w, r, s, m)
	}
}

// version refuses a version that nobody here speaks (2025-06-18, transports,
// "Protocol Version Header").
func (f *Front) version(w http.ResponseWriter, r *http.Request, id []byte) bool {
	v := r.Header.Get(headerVersion)
	if !modernVersion(v) || f.spoken(r, v) {
		return true
	}
	answer.Error(w, http.StatusBadRequest, id, rpc.UnsupportedVersion(v))
	return false
}

// session finds the session, or opens one for an initialize without one.
func (f *Front) session(w http.ResponseWriter, r *http.Request, m *rpc.Message) *session.Session {
	id, caller := r.Header.Get(HeaderSession), identity.From(r.Context())
	if id == "" && m.Method == "initialize" && m.Kind == rpc.Request {
		s, err := f.Table.Open(f.Server, *caller, eraName)
		if err != nil {
			answer.Error(w, http.StatusServiceUnavailable, m.ID(), err)
			return nil
		}
		return s
	}
	if id == "" {
		e := &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "Mcp-Session-Id is missing: begin with initialize"}
		if m.Method == rpc.Discover {
			e = &rpc.Error{Code: rpc.CodeMethodNotFound, Message: "server/discover is not known here: begin with initialize"}
		}
		answer.Error(w, http.StatusBadRequest, m.ID(), e)
		return nil
	}
	s := f.find(r)
	switch {
	case s == nil:
		answer.Error(w, http.StatusNotFound, m.ID(), &rpc.Error{Code: rpc.CodeSession, Message: "no such session"})
	case m.Method == "initialize":
		answer.Error(w, http.StatusBadRequest, m.ID(),
			rpc.Errorf(rpc.CodeInvalidRequest, "the session is initialized already"))
		s = nil
	}
	return s
}

func (f *Front) find(r *http.Request) *session.Session {
	s := f.Table.Find(r.Header.Get(HeaderSession), f.Server, identity.From(r.Context()))
	if s == nil || s.Era() != eraName {
		return nil
	}
	return s
}

// named finds the session of a request that is no message. One that names none
// is refused with another word: its client has forgotten to, and the session is
// not over (2025-11-25, transports, session management).
func (f *Front) named(w http.ResponseWriter, r *http.Request) *session.Session {
	if !f.version(w, r, nil) {
		return nil
	}
	if r.Header.Get(HeaderSession) == "" {
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, "Mcp-Session-Id is missing: begin with initialize")
		return nil
	}
	s := f.find(r)
	if s == nil {
		answer.Refuse(w, http.StatusNotFound, rpc.CodeSession, "no such session")
	}
	return s
}

func (f *Front) send(w http.ResponseWriter, r *http.Request, s *session.Session, m *rpc.Message) {
	if err := s.Send(r.Context(), identity.From(r.Context()), m); err != nil {
		answer.Error(w, http.StatusBadRequest, nil, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// call answers one request: the path that every tool call takes.
func (f *Front) call(
	w http.ResponseWriter, r *http.Request, s *session.Session, m *rpc.Message, handed func(),
) {
	who := identity.From(r.Context())
	over, leave := s.Under(who)
	left := func() { leave() }
	defer func() { left() }()
	q := event.NewQueue(f.Server.Limits().Queue)
	call, err := s.Call(r.Context(), who, m, q)
	if err != nil {
		if m.Method == "initialize" {
			s.End(err)
		}
		answer.Error(w, http.StatusOK, m.ID(), err)
		return
	}
	if m.Method == "initialize" {
		f.initialize(w, r, s, m, q, call)
		return
	}
	m.Forget()
	handed()
	e, ok := first(r.Context(), over, q)
	switch {
	case !ok:
		f.unanswered(w, r, over, m, q, call)
	case e.Silent:
		answer.Error(w, http.StatusOK, m.ID(), &rpc.Error{Code: rpc.CodeBusy, Message: "cancelled by the client"})
	case e.Final:
		answer.Event(w, e)
	default:
		left = func() {} // the stream leaves when it is over
		st := s.Streams.Open(q, func() { call.Cancel("the client is gone") })
		f.stream(w, r, s, &posted{over: over, leave: leave, stream: st, finals: 1, before: []event.Event{e}})
	}
}

// unanswered ends the POST of a call that has no answer yet.
func (f *Front) unanswered(
	w http.ResponseWriter, r *http.Request, over <-chan struct{}, m *rpc.Message, q *event.Queue, call *mux.Call,
) {
	// A 404 would be the loss of the session to the client, which then falls over
	// what it asked: each of these is an answer.
	e := &rpc.Error{Code: rpc.CodeInternal, Message: event.ErrSlow.Error()} // more than may wait came at once
	select {
	case <-over:
		e = &rpc.Error{Code: rpc.CodeSession, Message: "the session, or the login, has ended"}
	default:
		if r.Context().Err() != nil && call != nil {
			f.goOn(q, call)
			return
		}
	}
	if call != nil {
		call.Cancel("the client is gone")
	}
	answer.Error(w, http.StatusOK, m.ID(), e)
}

// goOn lets a call go on whose client went away, which is no cancellation in
// these eras (2025-06-18, transports, "Sending Messages to the Server", 6). The
// client has no event id to come back with, so what the call says is for
// nobody, and after the grace it is given up.
func (f *Front) goOn(q *event.Queue, call *mux.Call) {
	q.Close(event.ErrEnded)
	time.AfterFunc(f.Grace, func() { call.Cancel("the client is gone") })
}

// first waits for what comes first.
func first(ctx context.Context, over <-chan struct{}, q *event.Queue) (event.Event, bool) {
	for {
		e, ok, err := q.Pop()
		if ok || err != nil {
			return e, ok
		}
		select {
		case <-q.Wake():
		case <-ctx.Done():
			return e, false
		case <-over:
			e, ok, _ = q.Pop() // what came before the end is told
			return e, ok
		}
	}
}

// initialize waits for the answer alone; a session whose initialize failed was
// none.
func (f *Front) initialize(
	w http.ResponseWriter, r *http.Request, s *session.Session, m *rpc.Message, q *event.Queue, call *mux.Call,
) {
	ctx, cancel := context.WithTimeout(r.Context(), f.Server.Limits().Start)
	defer cancel()
	for {
		e, ok := first(ctx, s.Done(), q)
		switch {
		case !ok:
			if call != nil {
				call.Cancel("the start took too long")
			}
			late := &mux.Refusal{Reason: "the server did not answer initialize in time", Retry: 5 * time.Second}
			s.End(late)
			answer.Error(w, http.StatusServiceUnavailable, nil, late)
			return
		case !e.Final:
			s.Standing.Push(e)
			continue
		case e.Failed:
			s.End(session.ErrNotBegun)
			answer.Event(w, e)
			return
		}
		body, version := agree(e.Bytes(), rpc.Text(rpc.Member(m.Params(), "protocolVersion")))
		s.Version.Store(&version)
		w.Header().Set(HeaderSession, s.ID.String())
		answer.JSON(w, http.StatusOK, body)
		return
	}
}

// agree finds the version in the answer to initialize. One of 2024-11-05, which
// has no Streamable HTTP, becomes the next for a client that asked for another:
// its messages are the same, and the Java client refuses 2024-11-05 here.
func agree(body []byte, asked string) ([]byte, string) {
	m, err := rpc.Reparse(body)
	if err != nil {
		return body, ""
	}
	result := m.Result()
	at := rpc.MemberOf(result, "protocolVersion")
	version := rpc.Text(result[at.Start:at.End])
	if version != rpc.Version20241105 || asked == version {
		return body, version
	}
	start := m.ResultSpan().Start
	place := rpc.Span{Start: start + at.Start, End: start + at.End}
	version = rpc.Version20250326
	return rpc.AppendEdited(nil, body, rpc.Edit{At: place, With: []byte(`"` + version + `"`)}), version
}
