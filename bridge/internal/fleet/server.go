package fleet

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/mux"
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

// ServerConfig is one configured stdio server.
type ServerConfig struct {
	Name      string // "" where there is but one
	Spec      child.Spec
	Isolation Isolation
	Limits    Limits
	Child     child.Options // Stderr, MaxLine and MaxWaiting are set by the Server
	Starter   *child.Starter
	Guard     mux.Guard          // may be nil
	Adapt     func() mux.Adapter // for the child of a session; nil means none
	Warm      int                // children started ahead for sessions; not where a child learns its user
	Log       zerolog.Logger
}

// Server starts the children of one configuration.
type Server struct {
	Name      string
	Isolation Isolation

	cfg     ServerConfig
	limits  Limits
	breaker Breaker
	pool    *Pool
	Stats   Stats

	mu     sync.Mutex
	conns  map[*mux.Conn]struct{}
	spare  chan *mux.Conn // started ahead
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
}

// NewServer starts nothing yet.
func NewServer(cfg ServerConfig) *Server {
	cfg.Child.MaxLine, cfg.Child.MaxWaiting = cfg.Limits.Line, cfg.Limits.Waiting
	s := &Server{Name: cfg.Name, Isolation: cfg.Isolation, cfg: cfg, limits: cfg.Limits, conns: map[*mux.Conn]struct{}{}, spare: make(chan *mux.Conn, cfg.Warm)}
	s.pool = newPool(s)
	return s
}

// Limits are the bounds in force.
func (s *Server) Limits() Limits { return s.limits }

// Pool holds the children that the bridge initialised itself.
func (s *Server) Pool() *Pool { return s.pool }

// Health tells why no child can be started now, or nil. A command that is not
// there is known before anybody has asked for a child.
func (s *Server) Health() error {
	if spec := s.cfg.Spec; len(spec.Argv) > 0 {
		command := spec.Argv[0]
		if spec.Dir != "" && strings.Contains(command, "/") && !filepath.IsAbs(command) {
			command = filepath.Join(spec.Dir, command) // as os/exec takes it
		}
		if _, err := exec.LookPath(command); err != nil {
			return err
		}
	}
	if r := s.breaker.Refusal(time.Now()); r != nil {
		return r
	}
	return nil
}

// start runs a child. label marks its lines in the log.
func (s *Server) start(owner *contract.Identity, label string, shared bool) (*mux.Conn, error) {
	if r := s.breaker.Refusal(time.Now()); r != nil {
		return nil, r
	}
	log := s.cfg.Log.With().Str("server", s.Name).Str("session", label).Logger()
	spec, opts := s.cfg.Spec, s.cfg.Child
	spec.Env = append(append([]string(nil), spec.Env...), identityEnv(owner)...)
	opts.Stderr = func(line string) { log.Info().Str("stderr", line).Msg("server says") }
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &mux.Refusal{Reason: "the bridge is stopping", Retry: 5 * time.Second}
	}
	proc, err := s.cfg.Starter.Start(spec, opts)
	if child.Exhausted(err) {
		log.Error().Err(err).Msg("the machine carries no further server")
		s.Stats.Refused.Add(1)
		return nil, &mux.Refusal{Reason: "no further server can be started: " + err.Error(), Retry: 10 * time.Second}
	}
	if err != nil {
		log.Error().Err(err).Msg("cannot start the server")
		s.failed(err.Error())
		return nil, s.breaker.down(time.Now())
	}
	o := mux.Options{
		Shared: shared, Secret: owner == nil, Guard: s.cfg.Guard, Bounds: s.limits.Bounds, Stats: &s.Stats.Stats, Log: log,
		Spoke: s.breaker.Good, Failed: s.failed, Gone: s.gone,
	}
	if !shared && s.cfg.Adapt != nil {
		o.Adapter = s.cfg.Adapt()
	}
	c := mux.New(proc, o)
	s.Stats.Started.Add(1)
	s.conns[c] = struct{}{}
	s.alive.Add(1)
	return c, nil
}

// identityEnv is Contract 4: a child that serves one session or one user
// learns whom, a shared one nothing.
func identityEnv(id *contract.Identity) []string {
	if id == nil {
		return nil
	}
	return []string{
		"MCP_USER_ID=" + id.Subject, "MCP_USER_EMAIL=" + id.Email,
		"MCP_USER_NAME=" + id.Name, "MCP_USER_ROLES=" + contract.EncodeRoles(id.Roles),
	}
}

func (s *Server) gone(c *mux.Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.Stats.Ended.Add(1)
	s.alive.Done()
}

func (s *Server) failed(why string) {
	s.Stats.Failed.Add(1)
	s.breaker.Bad(time.Now(), why)
}

// Sweep ends what is over: calls, and children that nobody uses.
func (s *Server) Sweep(now time.Time) {
	for _, c := range s.all() {
		c.Sweep(now)
	}
	s.pool.sweep(now)
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
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Stop()
	}
	s.mu.Unlock()
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
