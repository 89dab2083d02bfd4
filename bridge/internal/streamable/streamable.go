// Package streamable is the front of Streamable HTTP with sessions (2025-03-26
// with batches, 2025-06-18, 2025-11-25): POST, GET and DELETE on one path. An
// answer that comes first is plain JSON; what comes before an answer makes the
// answer to the POST an event stream, which a client may resume.
//
// Requests of 2026-07-28 come to the same path: dispatch hands them to the
// front of that era. The package must never know how that one answers.
package streamable

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
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
	Modern http.Handler    // 2026-07-28 and later; may be nil
	Open   *sync.WaitGroup // streams that outlive their handlers
}

const (
	headerSession = "Mcp-Session-Id"
	headerVersion = "Mcp-Protocol-Version"
	headerLast    = "Last-Event-Id"
	eraName       = "streamable"
)

// ServeHTTP answers /mcp.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.Modern != nil && modernVersion(r.Header.Get(headerVersion)) {
		f.Modern.ServeHTTP(w, r)
		return
	}
	switch r.Method {
	case http.MethodPost:
		f.post(w, r)
	case http.MethodGet:
		f.get(w, r)
	case http.MethodDelete:
		f.delete(w, r)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		answer.Refuse(w, http.StatusMethodNotAllowed, rpc.CodeInvalidRequest, "only GET, POST and DELETE")
	}
}

// modernVersion tells whether the header names a version that is not one of
// those with sessions: the front of 2026-07-28 knows how to refuse what nobody
// speaks.
func modernVersion(v string) bool { return v != "" && !rpc.HasSessions(v) }

func (f *Front) post(w http.ResponseWriter, r *http.Request) {
	if !f.wants(w, r) {
		return
	}
	body, ok := answer.Body(w, r, f.Table.Limits().Body)
	if !ok {
		return
	}
	m, err := rpc.ParseClient(body)
	switch {
	case errors.Is(err, rpc.ErrBatch):
		f.batch(w, r, body)
		return
	case err != nil:
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeOf(err), err.Error())
		return
	}
	if f.Modern != nil && r.Header.Get(headerSession) == "" && (m.Version() != "" || m.Method == "server/discover") {
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.Modern.ServeHTTP(w, r)
		return
	}
	s := f.session(w, r, &m)
	if s == nil {
		return
	}
	if m.Kind != rpc.Request {
		f.send(w, r, s, &m)
		return
	}
	f.call(w, r, s, &m)
}

// wants checks the headers that the transport demands of a POST.
func (f *Front) wants(w http.ResponseWriter, r *http.Request) bool {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		answer.Refuse(w, http.StatusUnsupportedMediaType, rpc.CodeInvalidRequest, "Content-Type must be application/json")
		return false
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept != "" && !strings.Contains(accept, "*/*") && (!strings.Contains(accept, "application/json") || !strings.Contains(accept, "text/event-stream")) {
		answer.Refuse(w, http.StatusNotAcceptable, rpc.CodeInvalidRequest, "Accept must list application/json and text/event-stream")
		return false
	}
	return f.version(w, r)
}

func (f *Front) version(w http.ResponseWriter, r *http.Request) bool {
	if modernVersion(r.Header.Get(headerVersion)) {
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, "MCP-Protocol-Version is not one that this server speaks")
		return false
	}
	return true
}

// session finds the session, or opens one for an initialize without one.
func (f *Front) session(w http.ResponseWriter, r *http.Request, m *rpc.Message) *session.Session {
	id, caller := r.Header.Get(headerSession), identity.From(r.Context())
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
		if m.Method == "server/discover" {
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
		answer.Error(w, http.StatusBadRequest, m.ID(), &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "the session is initialized already"})
		s = nil
	}
	return s
}

func (f *Front) find(r *http.Request) *session.Session {
	s := f.Table.Find(r.Header.Get(headerSession), f.Server, identity.From(r.Context()))
	if s == nil || s.Era() != eraName {
		return nil
	}
	return s
}

// named refuses a request that names no session: its client has forgotten to,
// which is another thing than a session that is over (2025-11-25, transports,
// session management).
func named(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get(headerSession) != "" {
		return true
	}
	answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, "Mcp-Session-Id is missing: begin with initialize")
	return false
}

func (f *Front) send(w http.ResponseWriter, r *http.Request, s *session.Session, m *rpc.Message) {
	if err := s.Send(r.Context(), m); err != nil {
		answer.Error(w, http.StatusBadRequest, nil, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (f *Front) delete(w http.ResponseWriter, r *http.Request) {
	if !named(w, r) {
		return
	}
	s := f.find(r)
	if s == nil {
		answer.Refuse(w, http.StatusNotFound, rpc.CodeSession, "no such session")
		return
	}
	s.End(session.ErrDeleted)
	w.WriteHeader(http.StatusNoContent)
}

// call answers one request: the path that every tool call takes.
func (f *Front) call(w http.ResponseWriter, r *http.Request, s *session.Session, m *rpc.Message) {
	who := identity.From(r.Context())
	over, leave := s.Under(who)
	defer leave()
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
		f.initialize(w, r, s, q, call)
		return
	}
	e, ok := first(r.Context(), over, q)
	switch {
	case !ok:
		if call != nil {
			call.Cancel("the client is gone")
		}
		select {
		case <-over:
			answer.Error(w, http.StatusNotFound, m.ID(), &rpc.Error{Code: rpc.CodeSession, Message: "the session, or the login, has ended"})
		default: // more than may wait came at once; a 404 would be the session's end to the client
			answer.Error(w, http.StatusOK, m.ID(), &rpc.Error{Code: rpc.CodeInternal, Message: event.ErrSlow.Error()})
		}
	case e.Silent:
		answer.Error(w, http.StatusOK, m.ID(), &rpc.Error{Code: rpc.CodeBusy, Message: "cancelled by the client"})
	case e.Final:
		answer.Event(w, e)
	default:
		f.stream(w, r, over, s.Streams.Open(q, func() { call.Cancel("the client is gone") }), 1, e)
	}
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
			return e, false
		}
	}
}

// initialize waits for the answer alone; a session whose initialize failed was
// none.
func (f *Front) initialize(w http.ResponseWriter, r *http.Request, s *session.Session, q *event.Queue, call *mux.Call) {
	ctx, cancel := context.WithTimeout(r.Context(), f.Server.Limits().Start)
	defer cancel()
	for {
		e, ok := first(ctx, s.Done(), q)
		switch {
		case !ok:
			if call != nil {
				call.Cancel("the start took too long")
			}
			s.End(event.ErrEnded)
			answer.Error(w, http.StatusServiceUnavailable, nil, &mux.Refusal{Reason: "the server did not answer initialize in time", Retry: 5 * time.Second})
			return
		case !e.Final:
			s.Standing.Push(e)
			continue
		case e.Failed:
			s.End(event.ErrEnded)
			answer.Event(w, e)
			return
		}
		body, version := agreed(e.Bytes())
		s.Version.Store(&version)
		w.Header().Set(headerSession, s.ID.String())
		answer.JSON(w, http.StatusOK, body)
		return
	}
}

// agreed finds the version in the answer to initialize. One of 2024-11-05,
// which has no Streamable HTTP and which the Java client refuses here, becomes
// the next: its messages are the same.
func agreed(body []byte) ([]byte, string) {
	m, err := rpc.Parse(body)
	if err != nil {
		return body, ""
	}
	result := m.Result()
	at := rpc.MemberOf(result, "protocolVersion")
	version := rpc.Text(result[at.Start:at.End])
	switch {
	case version == rpc.Version20241105:
		start := m.ResultSpan().Start
		place := rpc.Span{Start: start + at.Start, End: start + at.End}
		return rpc.AppendEdited(nil, body, rpc.Edit{At: place, With: []byte(`"` + rpc.Version20250326 + `"`)}), rpc.Version20250326
	case rpc.HasSessions(version):
		return body, version
	}
	return body, ""
}
