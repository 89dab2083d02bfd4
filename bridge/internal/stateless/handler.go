package stateless

import (
	"context"
	"net/http"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Endpoint serves the requests to one server that belong to 2026-07-28.
type Endpoint struct {
	Front  *Front
	Server string // its configured name
	Body   answer.Body
	Who    func(context.Context) *contract.Identity // that a middleware put into the context
	// Route may give a request to another endpoint, as another request and
	// message; with nil it stays here. May be nil.
	Route func(r *http.Request, m *rpc.Message) (*Endpoint, *http.Request, *rpc.Message)
	// Began is told of a task that a call has begun, before its client is. May be nil.
	Began func(task string)
}

// ServeHTTP reads the body and serves it.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, rpc.Version20260728+" has only POST")
		return
	}
	if !answer.IsJSON(r.Header.Get("Content-Type")) {
		refuse(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
		return
	}
	body, handed, ok := e.Body.Read(w, r)
	if !ok {
		return
	}
	defer handed()
	m, err := rpc.ParseClient(body)
	e.Serve(w, r, &m, handed, err)
}

// Serve answers a POST whose body was read, and calls handed when the child has
// it; fault tells why it is no message.
func (e *Endpoint) Serve(w http.ResponseWriter, r *http.Request, m *rpc.Message, handed func(), fault error) {
	if e.Route != nil && fault == nil {
		if to, its, own := e.Route(r, m); to != nil {
			to.Serve(w, its, own, handed, nil)
			return
		}
	}
	caller := &mux.Caller{Identity: e.Who(r.Context()), Server: e.Server, Era: "stateless"}
	e.Front.serve(&exchange{caller: caller, message: m, handed: handed, began: e.Began, w: w, r: r}, fault)
}

func refuse(w http.ResponseWriter, status int, why string) {
	writeError(w, status, nil, &rpc.Error{Code: rpc.CodeInvalidRequest, Message: why})
}
