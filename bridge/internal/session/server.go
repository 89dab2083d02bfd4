package session

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/rpc"
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
	Child     child.Options // Stderr and MaxLine are set by the Server
	Starter   *child.Starter
	Guard     Guard          // may be nil
	Adapt     func() Adapter // for the child of a session; nil means none
	Warm      int            // children started ahead for sessions; not where a child learns its user
	Log       zerolog.Logger

	SessionEnded func(era string, took time.Duration) // told of each session that ended; may be nil
}

// Server starts the children of one configuration.
type Server struct {
	Name      string
	Isolation Isolation
	Guard     Guard

	cfg     ServerConfig
	limits  Limits
	breaker breaker
	pool    *Pool
	Stats   Stats

	mu     sync.Mutex
	conns  map[*Conn]struct{}
	spare  chan *Conn // started ahead
	closed bool
	alive  sync.WaitGroup
}

// Stats count what happened, for metrics.
type Stats struct {
	Started   atomic.Int64 // children
	Ended     atomic.Int64
	Failed    atomic.Int64 // starts, and children that ended before a word
	Restarted atomic.Int64 // in place of one that a session lost
	Refused   atomic.Int64 // calls, by a bound or because no child can be started
	Garbage   atomic.Int64 // lines that were no message
	Dropped   atomic.Int64 // messages that belonged to nobody
}

// NewServer starts nothing yet.
func NewServer(cfg ServerConfig) *Server {
	cfg.Child.MaxLine = cfg.Limits.Line
	s := &Server{Name: cfg.Name, Isolation: cfg.Isolation, Guard: cfg.Guard, cfg: cfg, limits: cfg.Limits, conns: map[*Conn]struct{}{}, spare: make(chan *Conn, cfg.Warm)}
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
	if r := s.breaker.refusal(time.Now()); r != nil {
		return r
	}
	return nil
}

// start runs a child. label marks its lines in the log.
func (s *Server) start(owner *contract.Identity, label string, shared bool) (*Conn, error) {
	if r := s.breaker.refusal(time.Now()); r != nil {
		return nil, r
	}
	log := s.cfg.Log.With().Str("server", s.Name).Str("session", label).Logger()
	spec, opts := s.cfg.Spec, s.cfg.Child
	spec.Env = append(append([]string(nil), spec.Env...), identityEnv(owner)...)
	opts.Stderr = func(line string) { log.Info().Str("stderr", line).Msg("server says") }
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &Refusal{Reason: "the bridge is stopping", Retry: 5 * time.Second}
	}
	proc, err := s.cfg.Starter.Start(spec, opts)
	if err != nil {
		log.Error().Err(err).Msg("cannot start the server")
		s.failed(err.Error())
		return nil, s.breaker.down(time.Now())
	}
	c := newConn(s, proc, shared, owner == nil, log)
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
		"MCP_USER_NAME=" + id.Name, "MCP_USER_ROLES=" + strings.Join(id.Roles, ","),
	}
}

func (s *Server) gone(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.Stats.Ended.Add(1)
	s.alive.Done()
}

func (s *Server) spoke()   { s.breaker.good() }
func (s *Server) garbage() { s.Stats.Garbage.Add(1) }
func (s *Server) dropped() { s.Stats.Dropped.Add(1) }
func (s *Server) failed(why string) {
	s.Stats.Failed.Add(1)
	s.breaker.bad(time.Now(), why)
}

func (s *Server) sweep(now time.Time) {
	s.mu.Lock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.sweep(now)
	}
	s.pool.sweep(now)
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
		c.proc.Kill()
	}
}

// AsRPC turns an error of this package into the error of a response.
func AsRPC(err error) *rpc.Error {
	var e *rpc.Error
	if errors.As(err, &e) {
		return e
	}
	var r *Refusal
	if errors.As(err, &r) {
		return r.RPC()
	}
	return &rpc.Error{Code: rpc.CodeInternal, Message: err.Error()}
}
