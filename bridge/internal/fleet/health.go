package fleet

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// Whether a child can be started and made ready is for the bridge to find out.
// A child that ends before its first word says nothing of the server while a
// caller may have caused it: that counts against the caller, and the bridge
// asks a child of its own.

// callers are the breakers of those whose children ended before a word.
type callers struct {
	mu sync.Mutex
	by map[string]*Breaker
}

// of returns the breaker of a user, or nil where nothing failed yet.
func (c *callers) of(user string) *Breaker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[user]
}

func (c *callers) blame(user, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.by[user]
	if b == nil {
		b = &Breaker{}
		if c.by == nil {
			c.by = map[string]*Breaker{}
		}
		c.by[user] = b
	}
	b.Bad(time.Now(), why)
}

func (c *callers) forgive(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, user)
}

// sweep forgets what is long over.
func (c *callers) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for user, b := range c.by {
		if b.stale(now) {
			delete(c.by, user)
		}
	}
}

// toldApart reports whether the owner of a child is one user among several.
func (s *Server) toldApart(owner *contract.Identity) bool {
	return owner != nil && s.limits.SessionsPerUser > 0
}

// refusal is nil where a child may be started for the owner.
func (s *Server) refusal(owner *contract.Identity) *mux.Refusal {
	now := time.Now()
	if r := s.breaker.Refusal(now); r != nil {
		return r
	}
	if s.toldApart(owner) {
		if b := s.callers.of(owner.Subject); b != nil {
			return b.Refusal(now)
		}
	}
	return nil
}

// Health tells why no child can be started and made ready, or nil. A command
// that is not there is known before anybody has asked for a child.
func (s *Server) Health() error {
	if err := s.command(); err != nil {
		return err
	}
	open := s.breaker.Open
	if s.cfg.Identity == NeedsUser { // only the next caller finds out, so it must come
		open = s.breaker.Refusal
	}
	if r := open(time.Now()); r != nil {
		return r
	}
	return nil
}

func (s *Server) command() error {
	spec := s.cfg.Spec
	if len(spec.Argv) == 0 {
		return nil
	}
	command := spec.Argv[0]
	if spec.Dir != "" && strings.Contains(command, "/") && !filepath.IsAbs(command) {
		command = filepath.Join(spec.Dir, command) // as os/exec takes it
	}
	_, err := exec.LookPath(command)
	return err
}

// Check asks a child of the bridge's own, unless one is being asked, or starts
// only for a user. It returns at once; Health tells what came of it.
func (s *Server) Check() {
	if s.cfg.Lend != nil && !s.cfg.Unlent {
		return // without a user's credential it would tell nothing
	}
	if s.cfg.Identity != NeedsUser && s.checking.CompareAndSwap(false, true) {
		go func() {
			defer s.checking.Store(false)
			s.check()
		}()
	}
}

const checkLabel = "check" // of its lines in the log, and for whom its box is

// check starts a child for nobody, so it learns no user (Contract 4).
func (s *Server) check() {
	c, err := s.launch(context.Background(), nil, checkLabel, true, nil)
	if err != nil {
		return // it was counted, or says nothing of the server
	}
	err = s.prepare(context.Background(), c, nil, true)
	c.Stop()
	<-c.Done()
	switch {
	case err == nil:
		s.breaker.Good()
	case !s.closing():
		s.cfg.Log.Error().Err(err).Str("server", s.Name).Msg("no child can be made ready")
		s.breaker.Trip(time.Now(), err.Error())
	}
}

// ended notes a child that ended before its first word, and by itself.
func (s *Server) ended(owner *contract.Identity, why string) {
	s.Stats.Failed.Add(1)
	if s.toldApart(owner) {
		s.callers.blame(owner.Subject, why)
	}
	s.suspect(owner, why)
}

// suspect finds out whether it is the server that fails. One that starts for
// nobody cannot be asked: it fails when the children of several users did, one
// after another.
func (s *Server) suspect(owner *contract.Identity, why string) {
	if s.cfg.Identity != NeedsUser {
		s.Check()
		return
	}
	if owner == nil {
		return // it was started for nobody, and did as it must
	}
	switch {
	case s.failing.note(owner.Subject) > FreeFails:
		s.breaker.Trip(time.Now(), why)
	case !s.toldApart(owner):
		s.breaker.Bad(time.Now(), why)
	}
}

func (s *Server) spoke(owner *contract.Identity) {
	s.breaker.Good()
	s.failing.forget()
	if s.toldApart(owner) {
		s.callers.forgive(owner.Subject)
	}
}

// subjects are whose children failed since one did not.
type subjects struct {
	mu  sync.Mutex
	all map[string]struct{}
}

// note returns how many there are.
func (f *subjects) note(user string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]struct{}{}
	}
	if len(f.all) <= FreeFails {
		f.all[user] = struct{}{}
	}
	return len(f.all)
}

func (f *subjects) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.all)
}
