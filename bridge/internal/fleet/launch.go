package fleet

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/sandbox"
	"gatehouse/internal/contract"
)

// start runs a child for the owner, where it may be tried, when it is its turn.
func (s *Server) start(
	ctx context.Context, owner *contract.Identity, label string, shared bool,
) (*mux.Conn, error) {
	if r := s.refusal(owner); r != nil {
		return nil, r
	}
	loan, err := s.lend(owner)
	if err != nil {
		s.Stats.Refused.Add(1)
		return nil, err
	}
	c, err := s.launch(ctx, owner, label, shared, loan)
	if err != nil && loan != nil {
		loan.Return()
	}
	return c, err
}

// launch runs a child when it is its turn. label marks its lines in the log.
func (s *Server) launch(
	ctx context.Context, owner *contract.Identity, label string, shared bool, loan Loan,
) (*mux.Conn, error) {
	turn, err := s.turn(ctx, owner)
	if err != nil {
		return nil, err
	}
	if r := s.refusal(owner); owner != nil && r != nil { // since it waited
		turn.over()
		return nil, r
	}
	log, born := s.labelled(label), time.Now()
	says := func(line string) { log.Info().Str("stderr", line).Msg("server says") }
	proc, err := s.run(owner, label, says, loan)
	if err != nil {
		turn.over()
		return nil, err
	}
	turn.began(proc)
	spoke := func() { s.spares.took(time.Since(born)) }
	return s.speak(proc, owner, log, shared, loan, turn, spoke), nil
}

// labelled is the log with a session's label, or another word for who speaks.
func (s *Server) labelled(label string) zerolog.Logger {
	return s.log.With().Str("session", label).Logger()
}

// run starts a process, with what is lent to it; loan may be nil.
func (s *Server) run(
	owner *contract.Identity, label string, stderr func(string), loan Loan,
) (proc mux.Process, err error) {
	if !s.lives() {
		return nil, stopping()
	}
	defer func() {
		if err != nil {
			s.alive.Done() // last: Close waits until all is said of it
		}
	}()
	spec, opts := s.cfg.Spec, s.cfg.Child
	spec.Env = append(append([]string(nil), spec.Env...), s.identityEnv(owner)...)
	opts.Stderr = stderr
	box, err := s.box(owner, label, &spec)
	if err != nil {
		s.log.Error().Err(err).Msg("no box can be made for the server")
		s.Stats.Failed.Add(1)
		return nil, &mux.Refusal{Reason: "no box can be made for the server: " + err.Error(), Retry: 10 * time.Second}
	}
	if loan != nil {
		opts.Hide = loan.Hide
		if err := place(loan, box, &spec); err != nil {
			box.Close()
			return nil, err
		}
	}
	proc, err = s.spawn(owner, label, spec, opts)
	if err != nil {
		box.Close()
	}
	if child.Exhausted(err) {
		s.log.Error().Err(err).Msg("the machine carries no further server")
		s.Stats.Refused.Add(1)
		no := &mux.Refusal{Reason: "no further server can be started: " + err.Error(), Retry: 10 * time.Second}
		return nil, &Crowded{no, s.cfg.Starter}
	}
	if err != nil {
		s.log.Error().Err(err).Msg("cannot start the server")
		s.Stats.Failed.Add(1)
		s.breaker.Bad(time.Now(), err.Error()) // whoever asked: the command cannot be run
		return nil, s.breaker.down(time.Now())
	}
	s.Stats.Started.Add(1)
	return proc, nil
}

// lives counts a child that is about to start, unless the server is closed. The
// lock is not held while it starts: who takes a warm child must not wait for that.
func (s *Server) lives() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.alive.Add(1)
	return true
}

// speak gives the process to the owner; spoke is called at its first word, which
// ends the turn.
func (s *Server) speak(
	proc mux.Process, owner *contract.Identity, log zerolog.Logger, shared bool, loan Loan, turn *turn, spoke func(),
) *mux.Conn {
	guard, gone := s.cfg.Guard, func(c *mux.Conn) { turn.over(); s.gone(c) }
	if loan != nil {
		guard, gone = loan.Guard(guard), func(c *mux.Conn) { turn.over(); loan.Return(); s.gone(c) }
	}
	o := mux.Options{
		Shared: shared, Secret: owner == nil, Sleeps: s.limits.Sleep > 0, Guard: guard,
		Bounds: s.limits.Bounds, Stats: &s.Stats.Stats, Log: log,
		Spoke: func() { turn.over(); s.spoke(owner); spoke() }, Failed: func(why string) { s.ended(owner, why) }, Gone: gone,
	}
	if !shared && s.cfg.Adapt != nil {
		o.Adapter = s.cfg.Adapt()
	}
	s.mu.Lock() // before its end can be told
	defer s.mu.Unlock()
	c := mux.New(proc, o)
	if loan != nil {
		loan.Started(c)
	}
	s.conns[c] = struct{}{}
	if s.closed { // since it was started
		c.Stop()
	}
	return c
}

// box makes the box of a child, and puts the child into it. It is of the owner
// alone where callers are told apart.
func (s *Server) box(owner *contract.Identity, label string, spec *child.Spec) (*sandbox.Box, error) {
	if s.cfg.Boxes == nil {
		return nil, nil //nolint:nilnil // none is asked for
	}
	whose := sandbox.Bridge
	switch told := s.limits.SessionsPerUser > 0; {
	case !told, label == checkLabel: // one user, or nobody
	case label == warmLabel:
		whose = sandbox.Stranger // whoever comes first
	case owner == nil:
		whose = sandbox.Everybody
	default:
		whose = owner.Subject
	}
	box, err := s.cfg.Boxes.Open(whose)
	if err != nil {
		return nil, err
	}
	spec.Env, spec.Box = box.Environ(spec.Env), box
	return box, nil
}

func (s *Server) spawn(
	owner *contract.Identity, label string, spec child.Spec, opts child.Options,
) (mux.Process, error) {
	if s.cfg.Start != nil {
		return s.cfg.Start(owner, label)
	}
	return s.cfg.Starter.Start(spec, opts)
}

func stopping() error { return &mux.Refusal{Reason: "the bridge is stopping", Retry: 5 * time.Second} }
