package stateless

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
	"gatehouse/internal/contract"
)

// Pool hands out children that are ready for a caller.
type Pool interface {
	AcquireModern(ctx context.Context, id *contract.Identity) (*fleet.Lease, error)
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
	return Options{Queue: 4 << 20, Open: 4096, Suspended: 16, Wait: 5 * time.Minute, StateLife: time.Hour, KeepAlive: 15 * time.Second}
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
		children: newKnownChildren(), stop: make(chan struct{}), open: map[*exchange]context.CancelFunc{}, held: map[string]int{},
		pulse: make(chan struct{}),
	}
}

// Drain ends the subscriptions gracefully: they have no end of their own that
// a stopping bridge could wait for. Calls go on.
func (f *Front) Drain() { f.drain.Do(func() { close(f.stop) }) }

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

// Serve answers one POST whose body translate.IsModern claims.
func (f *Front) Serve(w http.ResponseWriter, r *http.Request, caller *mux.Caller, body []byte) {
	req, bad := translate.ReadEnvelope(body)
	if bad == nil && req.ID == nil {
		w.WriteHeader(http.StatusAccepted) // 2026-07-28 defines none: nothing to do
		return
	}
	if bad == nil {
		bad = check(&req, r.Header)
	}
	if bad != nil {
		writeError(w, max(translate.Status(bad.Code), http.StatusBadRequest), req.ID, bad)
		return
	}
	if no := f.refuse.Load(); no != nil {
		writeFailure(w, req.ID, no)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	x := &exchange{front: f, caller: caller, req: &req, out: &writer{w: w, r: r}}
	defer x.out.close()
	if full := f.track(x, cancel); full != nil {
		writeFailure(w, req.ID, full)
		return
	}
	defer f.untrack(x)
	lease, err := f.pool.AcquireModern(ctx, caller.Identity)
	switch {
	case err != nil && ctx.Err() != nil:
		x.ended()
	case err != nil:
		writeFailure(w, req.ID, err)
	default:
		x.lease = lease
		if x.serve(ctx, r.Header); !x.waits {
			lease.Release()
		}
	}
}

// check is what can be told from the request alone, in the order in which a
// client can mend it: _meta, versions, headers, method.
func check(req *translate.Request, h http.Header) *translate.Error {
	if err := req.ReadMeta(); err != nil {
		return err
	}
	if err := req.CheckVersion(h); err != nil {
		return err
	}
	if err := req.CheckHeaders(h); err != nil {
		return err
	}
	if translate.Removed(req.Method) {
		return translate.MethodNotFound(req.Method)
	}
	return nil
}

func writeError(w http.ResponseWriter, status int, id json.RawMessage, err *translate.Error) {
	writeJSON(w, status, err.Response(id))
}

// writeFailure answers for a child that cannot be had or a call that it was
// not given.
func writeFailure(w http.ResponseWriter, id json.RawMessage, err error) {
	var refusal *mux.Refusal
	var rpcErr *rpc.Error
	var scope *mux.ScopeError
	switch {
	case errors.As(err, &scope):
		w.Header().Set("WWW-Authenticate", scope.Challenge)
		writeJSON(w, http.StatusForbidden, scope.RPC.Body(id))
	case errors.As(err, &refusal):
		status := http.StatusServiceUnavailable
		if refusal.Full {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(refusal.Retry/time.Second))))
		writeJSON(w, status, refusal.RPC().Body(id))
	case errors.As(err, &rpcErr):
		writeJSON(w, translate.Status(rpcErr.Code), rpcErr.Body(id))
	default:
		writeJSON(w, http.StatusServiceUnavailable, (&rpc.Error{Code: rpc.CodeInternal, Message: "the server cannot be had"}).Body(id))
	}
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone: nobody is left to tell
}
