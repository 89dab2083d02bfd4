package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/sandbox"
	"gatehouse/internal/contract"
)

// Isolation says who shares a child.
type Isolation string

// The three isolations.
const (
	PerSession Isolation = "session" // a child for each session
	PerUser    Isolation = "user"    // a child for each identity
	Shared     Isolation = "shared"  // one child for all
)

// Identity says what a child is told of its user when it starts (Contract 4).
type Identity string

// What it may be told.
const (
	TellsUser Identity = ""         // who it is, where it has one user
	NeedsUser Identity = "required" // the same, and it starts for nobody
	TellsNone Identity = "none"     // nothing: any child does for anybody
)

// ServerConfig is one configured stdio server.
type ServerConfig struct {
	Name      string // "" where there is but one
	Spec      child.Spec
	Isolation Isolation
	Identity  Identity
	Limits    Limits
	Child     child.Options // Stderr, Hide, MaxLine and MaxWaiting are set by the Server
	Starter   *child.Starter
	Turns     *Turns // of those that start, of all servers; nil makes some for this one alone
	// Start is what to speak with in place of a child of Spec; nil for a child. It
	// must not block.
	Start  func(owner *contract.Identity, label string) (mux.Process, error)
	Boxes  *sandbox.Maker     // nil makes none
	Guard  mux.Guard          // may be nil
	Adapt  func() mux.Adapter // for the child of a session; nil means none
	Lend   Lend               // nil: a child has no credential of its user's
	Unlent bool               // a child can be made ready without its credential
	Warm   int                // children that are started ahead, at least; not where each is told another user
	Log    zerolog.Logger
}

// Server starts the children of one configuration.
type Server struct {
	Name      string
	Isolation Isolation

	cfg     ServerConfig
	limits  Limits
	log     zerolog.Logger
	breaker Breaker // of the server itself: what fails for everybody
	callers callers
	failing subjects // see suspect
	pool    *Pool
	life    context.Context // it ends with Close
	die     context.CancelCauseFunc
	Stats   Stats
	Recall  Recall

	described atomic.Pointer[mux.Ready]
	modern    atomic.Bool // see SpeaksModern

	checking atomic.Bool
	spares   spares

	mu     sync.Mutex
	conns  map[*mux.Conn]struct{}
	closed bool
	alive  sync.WaitGroup
}

// Stats count what happened, for metrics.
type Stats struct {
	mux.Stats
	Started   atomic.Int64 // children
	Ended     atomic.Int64
	Failed    atomic.Int64 // starts, and children that ended before a word
	Restarted atomic.Int64 // in place of one that a session lost
	Slept     atomic.Int64 // sessions that let go of their child
	Woken     atomic.Int64 // and that have one again
	NotWoken  atomic.Int64 // that wanted one and did not get it
}

// NewServer starts nothing yet.
func NewServer(cfg ServerConfig) *Server {
	cfg.Child.MaxLine, cfg.Child.MaxWaiting = cfg.Limits.Line, cfg.Limits.Waiting
	s := &Server{
		Name: cfg.Name, Isolation: cfg.Isolation, cfg: cfg, limits: cfg.Limits,
		log:   cfg.Log.With().Str("server", cfg.Name).Logger(),
		conns: map[*mux.Conn]struct{}{},
	}
	if cfg.Turns == nil {
		s.cfg.Turns = NewTurns()
	}
	s.pool = newPool(s)
	s.life, s.die = context.WithCancelCause(context.Background())
	return s
}

// Limits are the bounds in force.
func (s *Server) Limits() Limits { return s.limits }

// Log is where what concerns the server is told, under its name.
func (s *Server) Log() *zerolog.Logger { return &s.log }

// Pool holds the children that the bridge initialised itself.
func (s *Server) Pool() *Pool { return s.pool }

// Allows asks the guard about a call for which a child would have to be started
// or asked something first: what is refused makes no work. It counts nothing;
// the guard is asked again when the call is made. goesOn says that the call was
// counted when it began.
func (s *Server) Allows(ctx context.Context, who *mux.Caller, m *rpc.Message, goesOn bool) error {
	if s.cfg.Guard == nil || who == nil {
		return nil
	}
	return s.cfg.Guard.Again(ctx, &mux.CallInfo{Caller: who, Method: m.Method, Message: m, Ahead: !goesOn})
}

// Answered tells the guard of a call that is answered without a child, and lets
// it refuse that.
func (s *Server) Answered(ctx context.Context, who *mux.Caller, m *rpc.Message, bytes int) error {
	return mux.Answered(ctx, s.cfg.Guard, who, m, bytes)
}

// Described is what a child that knew no user said of the server last; zero before
// there was one.
func (s *Server) Described() mux.Ready {
	if r := s.described.Load(); r != nil {
		return *r
	}
	return mux.Ready{}
}

// SpeaksModern tells whether a child of the bridge's own ever spoke 2026-07-28.
// What is Described may be the word of one that was asked in an older era since.
func (s *Server) SpeaksModern() bool { return s.modern.Load() }

// identityEnv is Contract 4: a child that serves one session or one user
// learns whom, a shared one nothing, nor one whose server wants nothing.
func (s *Server) identityEnv(id *contract.Identity) []string {
	if id == nil || s.cfg.Identity == TellsNone {
		return nil
	}
	return []string{
		"MCP_USER_ID=" + id.Subject, "MCP_USER_EMAIL=" + id.Email,
		"MCP_USER_NAME=" + id.Name, "MCP_USER_ROLES=" + contract.EncodeRoles(id.Roles),
	}
}

// sameForAll reports whether a child of one user is told nothing that one of
// another is not.
func (s *Server) sameForAll() bool { return s.cfg.Identity == TellsNone && s.cfg.Lend == nil }

func (s *Server) gone(c *mux.Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.Stats.Ended.Add(1)
	s.alive.Done()
}

// Sweep ends what is over: calls, and children that nobody uses.
func (s *Server) Sweep(now time.Time) {
	for _, c := range s.all() {
		c.Sweep(now)
	}
	s.pool.sweep(now)
	s.callers.sweep(now)
	if s.breaker.due(now) {
		s.Check()
	}
	s.refill(now)
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Busy reports whether a call is in flight on any child.
func (s *Server) Busy() bool {
	for _, c := range s.all() {
		if c.Busy() > 0 {
			return true
		}
	}
	return false
}

func (s *Server) all() []*mux.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*mux.Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// Close stops every child and waits for the last, or for ctx.
func (s *Server) Close(ctx context.Context) error {
	s.die(stopping())
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Stop()
	}
	s.mu.Unlock()
	s.spares.end(s.retire)
	done := make(chan struct{})
	go func() {
		s.alive.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.killAll()
		<-done
		return ctx.Err()
	}
}

func (s *Server) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Kill()
	}
}
