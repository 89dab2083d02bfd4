package fleet

import (
	"context"
	"iter"
	"maps"
	"sync"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Pool holds warm children that the bridge initialised itself: one for each
// identity, or one for all. Two who ask at once wait for one start.
type Pool struct {
	server *Server
	mu     sync.Mutex
	warm   map[whose]*warm
	alone  map[*warm]struct{}  // beside those: each left to the call that waits there, or see apart.go
	apart  map[whose]time.Time // until when
}

// whose child it is; nobody's own on a Shared server.
type whose struct {
	login, user string
	modern      bool // it speaks 2026-07-28, or was asked whether it does
}

type warm struct {
	key    whose
	ready  chan struct{} // closed when conn and err stand
	conn   *mux.Conn
	err    error
	sid    string
	who    *contract.Identity // whom the child was told of; nil for nobody
	used   time.Time
	leases int
	noted  bool // that it crashed
}

func newPool(s *Server) *Pool {
	return &Pool{server: s, warm: map[whose]*warm{}, alone: map[*warm]struct{}{}, apart: map[whose]time.Time{}}
}

// Lease is a right to a warm child. Release it when the link on it is closed.
type Lease struct {
	Conn *mux.Conn
	pool *Pool
	w    *warm
	once sync.Once
}

// Release lets the child become idle.
func (l *Lease) Release() {
	l.once.Do(func() {
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		l.w.leases--
		l.w.used = time.Now()
		l.pool.free(l.w)
	})
}

// Keep leaves the child to those who have it now: a call that waits for its
// client's input must not be in the way of others, who get another child. The
// one child of a Shared server stays everybody's.
func (l *Lease) Keep() {
	p := l.pool
	if p.server.Isolation == Shared {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.warm[l.w.key] == l.w {
		delete(p.warm, l.w.key)
		p.alone[l.w] = struct{}{}
	}
}

// free gives back a child that stands beside another, when nobody has it any
// more. Where it is the only one it is everybody's again; else it ends if no call
// wants it for a while: see apart.go. The lock is held.
func (p *Pool) free(w *warm) {
	if _, alone := p.alone[w]; !alone || w.leases > 0 {
		return
	}
	switch {
	case p.over(w):
		p.drop(w)
	case p.warm[w.key] == nil:
		delete(p.alone, w)
		p.warm[w.key] = w
	}
}

// Acquire returns the child of the identity, initialised; on a Shared server
// the one child of all.
func (p *Pool) Acquire(ctx context.Context, id *contract.Identity) (*Lease, error) {
	return p.acquire(ctx, id, false, nil)
}

// AcquireModern is the same for a caller of 2026-07-28: a child that speaks it
// is not initialised, for that would bind it to the older era. So a server of
// both eras may have two children for one identity. Where a child has to be
// started, may is asked first.
func (p *Pool) AcquireModern(ctx context.Context, id *contract.Identity, may func() error) (*Lease, error) {
	return p.acquire(ctx, id, true, may)
}

func (p *Pool) acquire(ctx context.Context, id *contract.Identity, modern bool, may func() error) (*Lease, error) {
	key, owner := whose{modern: modern}, (*contract.Identity)(nil)
	if p.server.Isolation != Shared {
		key.login, key.user, owner = id.SessionID, id.Subject, id
	}
	told := owner
	if p.server.cfg.Identity == TellsNone {
		told = nil
	}
	if may != nil && !p.has(key, told) {
		if err := may(); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	w := p.pick(key, told)
	if w == nil {
		if err := p.room(key.user); err != nil {
			p.mu.Unlock()
			return nil, err
		}
		w = &warm{key: key, ready: make(chan struct{}), sid: id.SessionID, who: told}
		p.put(w)
		go p.fill(w, key, owner, modern)
	}
	w.leases++
	w.used = time.Now()
	p.mu.Unlock()
	lease := &Lease{pool: p, w: w}
	select {
	case <-w.ready:
	case <-ctx.Done():
		lease.Release()
		return nil, ctx.Err()
	}
	if w.err != nil {
		lease.Release()
		return nil, w.err
	}
	lease.Conn = w.conn
	return lease, nil
}

// Allows is that of the server.
func (p *Pool) Allows(ctx context.Context, who *mux.Caller, m *rpc.Message, goesOn bool) error {
	return p.server.Allows(ctx, who, m, goesOn)
}

// has reports whether a child is there, or on its way.
func (p *Pool) has(key whose, who *contract.Identity) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pick(key, who) != nil
}

// room refuses one child more than the sessions that there may be, in all and
// for each user: a user can sign in without end. The one that nobody has used
// for longest makes room. The lock is held.
func (p *Pool) room(user string) error {
	if p.server.Isolation == Shared {
		return nil
	}
	fits, full := p.fits(user)
	if fits {
		return nil
	}
	w := p.idlest(func(k whose) bool { return !full || k.user == user })
	if w == nil {
		return &mux.Refusal{Full: full, Retry: 10 * time.Second,
			Reason: "every server that may run for this user, or for all, is in use"}
	}
	p.drop(w)
	return nil
}

// fits tells whether one more child may be; full that it is the user who has too
// many. The lock is held.
func (p *Pool) fits(user string) (fits, full bool) {
	limits, mine := p.server.limits, 0
	for w := range p.all() {
		if w.key.user == user {
			mine++
		}
	}
	full = limits.SessionsPerUser > 0 && mine >= limits.SessionsPerUser
	return !full && len(p.warm)+len(p.alone) < limits.Sessions, full
}

// idlest finds what was not used for longest. The lock is held.
func (p *Pool) idlest(among func(whose) bool) (oldest *warm) {
	for w := range p.all() {
		if w.leases == 0 && w.settled() && among(w.key) && (oldest == nil || w.used.Before(oldest.used)) {
			oldest = w
		}
	}
	return oldest
}

// drop stops a child and forgets it. The lock is held.
func (p *Pool) drop(w *warm) {
	if p.warm[w.key] == w {
		delete(p.warm, w.key)
	}
	delete(p.alone, w)
	if w.conn != nil {
		w.conn.Stop()
	}
}

// settled reports whether the start is over, well or not.
func (w *warm) settled() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// over reports whether the child is known to be gone.
func (w *warm) over() bool {
	return w.settled() && (w.err != nil || w.conn.Dead() != nil)
}

// fill starts the child. It goes on when the one who asked first is gone:
// others may wait for it.
func (p *Pool) fill(w *warm, key whose, owner *contract.Identity, modern bool) {
	defer close(w.ready)
	label := "shared"
	if owner != nil {
		label = "user"
	}
	w.conn, w.err = p.server.forPool(context.Background(), owner, label)
	if w.err == nil {
		if w.err = p.server.prepare(context.Background(), w.conn, owner, modern); w.err != nil {
			w.conn.Stop()
			p.server.suspect(owner, w.err.Error())
		}
	}
	if w.err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.warm[key] == w {
			delete(p.warm, key)
		}
	}
}

// sweep stops the children that nobody used for the idle time, or that sleep.
func (p *Pool) sweep(now time.Time) {
	idle, sleep := p.server.limits.Idle, p.server.limits.Sleep
	p.end(func(w *warm) bool {
		return w.leases == 0 && (now.Sub(w.used) > idle || p.outlived(w, now) || sleep > 0 && w.conn.Quiet(now) > sleep)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.apart, func(_ whose, until time.Time) bool { return now.After(until) })
}

// Yield stops the children that nobody has and that did nothing for so long.
func (p *Pool) Yield(now time.Time, quiet time.Duration) {
	if p.server.Isolation == PerUser {
		p.end(func(w *warm) bool { return w.leases == 0 && w.conn.Quiet(now) >= quiet })
	}
}

// EndSID stops the children of a login that has ended.
func (p *Pool) EndSID(sid string) {
	if sid != "" && p.server.Isolation != Shared {
		p.end(func(w *warm) bool { return w.sid == sid })
	}
}

// SIDs lists the logins that have a child here.
func (p *Pool) SIDs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for w := range p.all() {
		if w.sid != "" {
			out = append(out, w.sid)
		}
	}
	return out
}

func (p *Pool) end(which func(*warm) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.all() {
		if !w.settled() {
			continue // it is being started: the next sweep sees it
		}
		if p.over(w) || which(w) {
			p.drop(w)
		}
	}
}

// all are the children of the pool. The lock is held.
func (p *Pool) all() iter.Seq[*warm] {
	return func(yield func(*warm) bool) {
		for _, w := range p.warm {
			if !yield(w) {
				return
			}
		}
		for w := range p.alone {
			if !yield(w) {
				return
			}
		}
	}
}
