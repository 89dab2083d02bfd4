package stateless

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/door"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
	"gatehouse/internal/contract"
)

// Several serves 2026-07-28 for a server that is made of others. A call goes to
// the front of the one that it is for, as if it had come to that one's path;
// what is about all of them is answered here.
type Several struct {
	Door   *door.Door
	Server *fleet.Server              // in whose name the door speaks of itself
	Front  func(*fleet.Server) *Front // nil for one that has left
	Body   answer.Body
	Who    func(context.Context) *contract.Identity // that a middleware put into the context
}

// recalledFor is the ttlMs of a list that comes out of memory: the children
// that are started by the next call may list something else.
const recalledFor = 5000

// ServeHTTP reads the body and serves it.
func (s *Several) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m, handed, fault, ok := read(w, r, s.Body); ok {
		defer handed()
		s.Serve(w, r, m, handed, fault)
	}
}

// Serve is that of an Endpoint.
func (s *Several) Serve(w http.ResponseWriter, r *http.Request, m *rpc.Message, handed func(), fault error) {
	req, ok := begun(w, r, m, fault)
	if !ok {
		return
	}
	a := asker{several: s, who: s.Who(r.Context()), req: req}
	switch {
	case req.Method == rpc.Discover:
		s.discover(w, r, m, a)
	case door.Lists(req.Method):
		result, recalled, err := s.Door.List(r.Context(), a.who, m, a)
		if recalled {
			result = append(result[:len(result)-1], `,"ttlMs":`+strconv.Itoa(recalledFor)+`}`...)
		}
		s.answer(w, req, result, err)
	default:
		s.pass(w, r, m, handed, a)
	}
}

func (s *Several) discover(w http.ResponseWriter, r *http.Request, m *rpc.Message, a asker) {
	about := translate.Server{Info: door.Info()}
	about.Capabilities, about.Instructions = s.Door.About(r.Context(), a.who)
	result, err := s.Server.Filtered(r.Context(), a.Caller(&door.Server{}), m, about.DiscoverResult())
	s.answer(w, a.req, result, err)
}

func (s *Several) answer(w http.ResponseWriter, req *translate.Request, result []byte, err error) {
	if err != nil {
		writeFailure(w, req.ID, modern(err))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	answer.JSON(w, http.StatusOK, translate.ModernResponse(req.ID, req.Method, result, door.Info()))
}

// modern is an error of the door as this version has it: see
// translate.ModernError.
func modern(err error) error {
	var known *rpc.Error
	if errors.As(err, &known) && known.Code == rpc.CodeNoResource {
		return rpc.Errorf(rpc.CodeInvalidParams, "%s", known.Message)
	}
	return err
}

// pass gives the call to the server that it is for.
func (s *Several) pass(w http.ResponseWriter, r *http.Request, m *rpc.Message, handed func(), a asker) {
	to, inner, err := s.Door.Route(r.Context(), a.who, m, a)
	if err != nil {
		writeFailure(w, a.req.ID, modern(err))
		return
	}
	front := s.Front(to.Fleet)
	if front == nil {
		writeFailure(w, a.req.ID, gone())
		return
	}
	if inner.Name() != m.Name() { // begun has compared them
		r.Header.Set(translate.HeaderName, translate.HeaderValue(inner.Name()))
	}
	front.serve(w, r, a.Caller(to), &inner, handed, nil)
}

func gone() error {
	return &mux.Refusal{Reason: "the configuration of the server has changed", Retry: 1}
}

// asker asks servers in the name of a request's caller.
type asker struct {
	several *Several
	who     *contract.Identity
	req     *translate.Request
}

// Running implements door.Asker.
func (a asker) Running(s *door.Server) bool { return s.Fleet.Pool().Has(a.who) }

// Caller implements door.Asker.
func (a asker) Caller(s *door.Server) *mux.Caller {
	return &mux.Caller{Identity: a.who, Server: s.Name, Era: "stateless"}
}

// Meta implements door.Asker.
func (a asker) Meta() string {
	return `"_meta":{"` + rpc.MetaVersion + `":"` + rpc.Version20260728 + `","` + rpc.MetaCapabilities + `":{}}`
}

// Ask implements door.Asker.
func (a asker) Ask(ctx context.Context, s *door.Server, m *rpc.Message) ([]byte, error) {
	front := a.several.Front(s.Fleet)
	if front == nil {
		return nil, gone()
	}
	return front.ask(ctx, a.Caller(s), m)
}

// ask makes a call whose answer is read here. Nothing is asked of the caller
// for it.
func (f *Front) ask(ctx context.Context, caller *mux.Caller, m *rpc.Message) ([]byte, error) {
	req, bad := translate.ReadEnvelope(m)
	if bad != nil {
		return nil, bad
	}
	if no := f.refusal(&req); no != nil {
		return nil, no
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &exchange{front: f, caller: caller, req: &req, message: m, handed: func() {}}
	if full := f.track(x, cancel); full != nil {
		return nil, full
	}
	defer f.untrack(x)
	lease, err := x.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	x.child = f.children.get(lease.Conn)
	if err := x.begin(ctx, lease.Conn, req.ForChild(!x.child.modern)); err != nil {
		return nil, err
	}
	defer x.link.Close()
	return x.outcome(ctx)
}

// outcome waits for the answer alone.
func (x *exchange) outcome(ctx context.Context) ([]byte, error) {
	for {
		e, ok, err := x.queue.Pop()
		switch {
		case err != nil:
			return nil, err
		case ok && e.Final:
			return door.Outcome(e)
		case ok && e.Kind == rpc.Request:
			x.ask(e) // and is refused
			continue
		case ok:
			continue
		}
		select {
		case <-x.queue.Wake():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
