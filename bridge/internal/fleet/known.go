package fleet

import (
	"context"
	"sync/atomic"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// What a server is, and what it said, can be told without a child of the
// caller's. Only a child that was started for nobody describes it: another may
// tell its user of himself.

// description is what the first child of the bridge's own said of itself.
type description struct {
	ready atomic.Pointer[mux.Ready]
	there chan struct{} // closed when it is known
}

func (d *description) note(r mux.Ready) {
	if d.ready.Swap(&r) == nil {
		close(d.there)
	}
}

// Described is what the server says of itself, if that is known.
func (s *Server) Described() (mux.Ready, bool) {
	r := s.known.ready.Load()
	if r == nil {
		return mux.Ready{}, false
	}
	return *r, true
}

// Describe is what the server says of itself, asked of a child of the bridge's
// own where nobody has asked yet.
func (s *Server) Describe(ctx context.Context) (mux.Ready, error) {
	if r := s.known.ready.Load(); r != nil {
		return *r, nil
	}
	if err := s.Health(); err != nil {
		return mux.Ready{}, err
	}
	s.Check()
	select {
	case <-s.known.there:
		return *s.known.ready.Load(), nil
	case <-ctx.Done():
		return mux.Ready{}, ctx.Err()
	}
}

// Filtered is the answer to a call out of the bridge's memory: the guard decides
// about it and filters it as where a child gives it.
func (s *Server) Filtered(ctx context.Context, who *mux.Caller, m *rpc.Message, result []byte) ([]byte, error) {
	if s.cfg.Guard == nil {
		return result, nil
	}
	w, err := s.cfg.Guard.Begin(ctx, &mux.CallInfo{Caller: who, Method: m.Method, Message: m})
	if err != nil || w == nil {
		return result, err
	}
	result = w.Result(result)
	w.Release()
	w.End(mux.Outcome{Status: "ok", Bytes: len(result)})
	return result, nil
}

// Has reports whether the caller of 2026-07-28 has a child, or one is on its
// way.
func (p *Pool) Has(id *contract.Identity) bool {
	key, told := p.keyOf(id, true)
	return p.has(key, told)
}
