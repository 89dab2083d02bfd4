package fleet

import (
	"context"
	"sync"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// turn is the place of one child that starts. It is over at the child's first
// word, at its end, when somebody takes it, and after the longest time of one. The child of
// a user who starts many, or of nobody, has a low priority until then: it takes
// the CPU that nobody else wants.
type turn struct {
	leave   func()
	longest time.Duration
	many    bool
	once    sync.Once

	mu   sync.Mutex
	proc courteous // nil where its priority was never lowered
	late *time.Timer
}

// courteous is a process that lets others go first.
type courteous interface {
	Lower() (lowered bool)
	Raise()
}

// turn waits for the place of a child for the owner, who is nil for one that the
// bridge starts of its own accord.
func (s *Server) turn(ctx context.Context, owner *contract.Identity) (*turn, error) {
	if s.cfg.Start != nil {
		return &turn{leave: func() {}, longest: turnLongest}, nil // no process starts
	}
	user := anybody
	switch {
	case owner == nil:
		user = nobody
	case s.toldApart(owner):
		user = owner.Subject
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })()
	leave, many, err := s.cfg.Turns.enter(ctx, user, s.limits.CallTime)
	if err != nil {
		return nil, err
	}
	return &turn{leave: leave, longest: s.cfg.Turns.longest, many: many}, nil
}

// began is called with what was started in the turn.
func (t *turn) began(proc mux.Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := proc.(courteous); ok && t.many && p.Lower() {
		t.proc = p
	}
	t.late = time.AfterFunc(t.longest, t.over)
}

// last ends the turn after so long, where nothing else does.
func (t *turn) last(d time.Duration) { t.late.Reset(min(d, t.longest)) }

// over ends it; a second time does nothing.
func (t *turn) over() {
	t.once.Do(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.late != nil {
			t.late.Stop()
		}
		if t.proc != nil {
			t.proc.Raise()
		}
		t.leave()
	})
}
