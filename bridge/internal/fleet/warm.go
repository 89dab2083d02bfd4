package fleet

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// Children started ahead: the time to open a session is then that of its
// initialize alone. Such a child was started for nobody, so only a server has
// them whose children are told nothing of their user, or all the same.

const warmLabel = "warm" // of its lines in the log, and for whom its box is

// everybody is whom all callers are where they are not told apart.
func everybody() *contract.Identity { return &contract.Identity{Subject: "local"} }

// Warm finds out whether a child can be had, and starts what --warm asks for.
// A child that does not start, or that ends while it waits, is followed by
// another at a sweep.
func (s *Server) Warm() {
	s.Check()
	s.refill(time.Now())
}

// refill starts what is missing, and ends one of those that are too many.
func (s *Server) refill(now time.Time) {
	if s.cfg.Warm == 0 || s.breaker.Refusal(now) != nil {
		return
	}
	missing, surplus := s.spares.missing(now, s.cfg.Warm)
	if surplus != nil {
		s.retire(surplus)
	}
	for ; missing > 0; missing-- {
		started, ok := s.cfg.Starter.Ahead()
		if !ok {
			s.spares.failed(missing)
			return
		}
		go s.startAhead(started)
	}
}

func (s *Server) startAhead(started func()) {
	spare := newSpare(s.labelled(warmLabel))
	err := s.runAhead(spare)
	started()
	if err != nil {
		s.spares.failed(1)
		return
	}
	if !s.spares.begun(spare) {
		s.retire(spare)
		return
	}
	go func() {
		select {
		case <-spare.taken:
		case <-spare.proc.Done():
			spare.turn.over()
			if s.spares.remove(spare) {
				status, _ := spare.proc.Exit()
				s.Stats.Failed.Add(1)
				s.gave(spare)
				s.suspect(nil, status)
			}
		}
	}()
}

// runAhead starts a child that nobody asked for, when it is its turn. Nobody
// hears its first word, so its turn lasts as long as a start of late.
func (s *Server) runAhead(spare *spare) (err error) {
	if spare.turn, err = s.turn(s.life, nil); err != nil {
		return err
	}
	if spare.proc, err = s.run(everybody(), warmLabel, spare.says, nil); err != nil {
		spare.turn.over()
		return err
	}
	spare.turn.began(spare.proc)
	spare.turn.last(s.spares.usual())
	return nil
}

// retire ends a child that nobody took.
func (s *Server) retire(spare *spare) {
	spare.turn.over()
	spare.proc.Stop()
	go func() {
		<-spare.proc.Done()
		s.gave(spare)
	}()
}

// gave counts the end of a child that nobody took.
func (s *Server) gave(spare *spare) {
	spare.proc.Close()
	s.Stats.Ended.Add(1)
	s.alive.Done()
}

// ForSession returns a child of the session's own: one started ahead where
// there is one that lives, whose place is then filled again.
func (s *Server) ForSession(
	ctx context.Context, owner *contract.Identity, label string,
) (*mux.Conn, error) {
	return s.take(ctx, owner, label, false)
}

// forPool is the same for a child that the bridge makes ready itself.
func (s *Server) forPool(
	ctx context.Context, owner *contract.Identity, label string,
) (*mux.Conn, error) {
	if s.cfg.Identity != TellsNone {
		return s.start(ctx, owner, label, true)
	}
	return s.take(ctx, owner, label, true)
}

func (s *Server) take(
	ctx context.Context, owner *contract.Identity, label string, shared bool,
) (*mux.Conn, error) {
	if s.cfg.Warm == 0 || s.cfg.Lend != nil { // what was started ahead has nobody's credential
		return s.start(ctx, owner, label, shared)
	}
	if r := s.refusal(owner); r != nil {
		return nil, r
	}
	spare := s.spares.take(time.Now())
	defer s.refill(time.Now())
	if spare == nil {
		return s.launch(ctx, owner, label, shared, nil)
	}
	log := s.labelled(label)
	log.Debug().Msg("the session takes a warm child")
	spare.log.Store(&log)
	spare.turn.over()
	return s.speak(spare.proc, owner, log, shared, nil, spare.turn, func() {}), nil
}

// says is the standard error of a child that is taken by somebody, or not yet.
func (s *spare) says(line string) { s.log.Load().Info().Str("stderr", line).Msg("server says") }

func newSpare(log zerolog.Logger) *spare {
	s := &spare{taken: make(chan struct{})}
	s.log.Store(&log)
	return s
}
