package stateless

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
	"gatehouse/internal/contract"
)

// Pool hands out children that are ready for a caller.
type Pool interface {
	// AcquireModern asks may first where a child has to be started.
	AcquireModern(ctx context.Context, id *contract.Identity, may func() error) (*fleet.Lease, error)
	// Allows is whether the guard lets the call begin, or go on; it counts nothing.
	Allows(ctx context.Context, who *mux.Caller, m *rpc.Message, goesOn bool) error
}

// Options bound what a caller can hold open here.
type Options struct {
	Queue     int           // bytes that may wait for a slow reader
	Open      int           // calls and subscriptions at once, for each identity
	Suspended int           // calls that wait for input, for each identity
	Wait      time.Duration // for the input
	StateLife time.Duration // of the requestState of a 2026-07-28 server
	KeepAlive time.Duration // between comments on a quiet stream
}

// DefaultOptions are sane for one bridge.
func DefaultOptions() Options {
	return Options{
		Queue: 4 << 20, Open: 4096, Suspended: 16,
		Wait: 5 * time.Minute, StateLife: time.Hour, KeepAlive: 15 * time.Second,
	}
}

// Front serves 2026-07-28. It is safe for concurrent use.
type Front struct {
	pool      Pool
	opts      Options
	seal      *sealer
	suspended *suspended
	children  *knownChildren

	refuse atomic.Pointer[mux.Refusal] // nil while requests are served

	stop  chan struct{} // closed when subscriptions must end
	drain sync.Once

	mu     sync.Mutex
	open   map[*exchange]context.CancelFunc
	held   map[string]int // of open, by identity
	swept  bool           // a sweep is to come
	pulse  chan struct{}
	pulsed time.Time
}

// New makes a front over the pool. Close it.
func New(pool Pool, opts Options) *Front {
	return &Front{
		pool: pool, opts: opts, seal: newSealer(opts.StateLife), suspended: newSuspended(opts),
		children: newKnownChildren(), stop: make(chan struct{}), pulse: make(chan struct{}),
		open: map[*exchange]context.CancelFunc{}, held: map[string]int{},
	}
}

// Drain refuses new calls and ends the subscriptions gracefully: they have no
// end of their own that a stopping bridge could wait for. Calls under way go
// on, those that wait for their client's input too.
func (f *Front) Drain() { f.drain.Do(func() { close(f.stop) }) }

func (f *Front) draining() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// Refuse makes Serve refuse with the reason; nil lets it serve again.
func (f *Front) Refuse(r *mux.Refusal) { f.refuse.Store(r) }

// Close gives up every call that waits for input.
func (f *Front) Close() { f.suspended.closeIf(func(*waiting) bool { return true }) }

// SIDs lists the login sessions that have something open here.
func (f *Front) SIDs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sids []string
	for x := range f.open {
		sids = append(sids, x.caller.Identity.SessionID)
	}
	return append(sids, f.suspended.sids()...)
}

// End closes what the login session has open: the right to it has ended.
func (f *Front) End(sid string) {
	f.suspended.closeIf(func(w *waiting) bool { return w.x.caller.Identity.SessionID == sid })
	f.mu.Lock()
	defer f.mu.Unlock()
	for x, cancel := range f.open {
		if x.caller.Identity.SessionID == sid {
			cancel()
		}
	}
}

// serve answers one POST, of which the exchange knows who calls, and by what; fault
// tells why its message is none.
func (f *Front) serve(x *exchange, fault error) {
	w, r, m := x.w, x.r, x.message
	if fault != nil {
		writeError(w, http.StatusBadRequest, m.ID(), translate.Unreadable(fault))
		return
	}
	req, bad := translate.ReadEnvelope(m)
	if bad == nil {
		bad = check(&req, r.Header)
	}
	if bad != nil {
		writeError(w, max(statusOf(bad.Code), http.StatusBadRequest), req.ID, bad)
		return
	}
	if req.ID == nil {
		w.WriteHeader(http.StatusAccepted) // 2026-07-28 defines none: nothing to do
		return
	}
	if no := f.refuse.Load(); no != nil {
		writeFailure(w, req.ID, no)
		return
	}
	if f.draining() && !req.Params.Has("requestState") {
		writeFailure(w, req.ID, &mux.Refusal{Reason: "the bridge is stopping", Retry: 5 * time.Second})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	x.front, x.req, x.out = f, &req, answer.NewStream(w, r)
	defer x.out.Close()
	if full := f.track(x, cancel); full != nil {
		writeFailure(w, req.ID, full)
		return
	}
	defer f.untrack(x)
	lease, err := x.acquire(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		x.ended()
	case err != nil:
		x.fail(err)
	default:
		x.lease = lease
		if x.serve(ctx, r.Header); !x.waits {
			x.lease.Release()
		}
	}
}

// check is what can be told from the request alone, in the order in which a
// client can mend it: _meta, versions, headers, method.
func check(req *translate.Request, h http.Header) *rpc.Error {
	if req.ID == nil { // a notification needs no _meta; one that has it must be of one version
		if req.Version == "" {
			return nil
		}
		return req.CheckVersion(h)
	}
	if err := req.ReadMeta(); err != nil {
		return err
	}
	if err := req.CheckVersion(h); err != nil {
		return err
	}
	if err := req.CheckHeaders(h); err != nil {
		return err
	}
	if rpc.Removed(req.Method) {
		return rpc.MethodNotFound(req.Method)
	}
	return nil
}

func writeError(w http.ResponseWriter, status int, id json.RawMessage, err *rpc.Error) {
	w.Header().Set("Cache-Control", "no-store")
	answer.JSON(w, status, err.ModernBody(id))
}

// writeFailure answers for a child that cannot be had or a call that it was
// not given.
func writeFailure(w http.ResponseWriter, id json.RawMessage, err error) {
	status := http.StatusServiceUnavailable
	var known *rpc.Error
	if errors.As(err, &known) {
		status = statusOf(known.Code)
	}
	w.Header().Set("Cache-Control", "no-store")
	answer.Error(w, status, id, err)
}

// statusOf is the HTTP status of an answer with this error: the transport names
// 400 for what a request got wrong about itself and 404 for an unknown method.
// An error that a child gave to a well-formed call is an answer like others.
func statusOf(code int) int {
	switch code {
	case rpc.CodeMethodNotFound:
		return http.StatusNotFound
	case rpc.CodeHeaderMismatch, rpc.CodeMissingCapability, rpc.CodeUnsupportedVersion,
		rpc.CodeParse, rpc.CodeInvalidRequest:
		return http.StatusBadRequest
	}
	return http.StatusOK
}
