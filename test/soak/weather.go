package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gatehouse/test/soak/internal/caller"
	"gatehouse/test/soak/internal/fault"
	"gatehouse/test/soak/internal/plan"
)

// weather knows when something was broken, and judges by it what callers saw.
// A fault lasts until every caller has had a good answer after it.
type weather struct {
	mu    sync.Mutex
	spans []*span
}

type span struct {
	kind      plan.Kind
	who       string    // the user that it falls on, "" for everybody
	from, to  time.Time // to is zero while it lasts
	cuts      bool
	cutsUntil time.Time // where it cuts for longer than it lasts
}

// begin opens a fault of a user, or of everybody where who is ""; the function
// that it returns ends it.
func (w *weather) begin(kind plan.Kind, who string) (over func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &span{kind: kind, who: who, from: time.Now()}
	var long time.Duration
	long, s.cuts = fault.CutFor(kind)
	s.cutsUntil = s.from.Add(long)
	w.spans = append(w.spans, s)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		s.to = time.Now()
	}
}

// during tells what was broken for a user at some time between from and to, and
// whether it may have cut connections off.
func (w *weather) during(who string, from, to time.Time) (kinds []plan.Kind, cuts bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.spans {
		if s.who != "" && s.who != who {
			continue
		}
		lasts := s.from.Before(to) && (s.to.IsZero() || s.to.After(from))
		if lasts {
			kinds = append(kinds, s.kind)
		}
		cuts = cuts || s.cuts && (lasts || s.from.Before(to) && s.cutsUntil.After(from))
	}
	return kinds, cuts
}

// judge names the outcome of a user's exchange that took from from to to, and says what
// promise it breaks, "" for none.
func (w *weather) judge(err error, who string, from, to time.Time) (outcome, broken string) {
	kinds, cuts := w.during(who, from, to)
	fair := len(kinds) == 0
	var refused *caller.Refused
	var cut *caller.Cut
	var wrong *caller.Wrong
	switch {
	case err == nil:
		return "good", ""
	case errors.As(err, &wrong):
		return "wrong", "no answer is wrong or another's"
	case errors.Is(err, caller.ErrSilent):
		return "silent", "every call is answered"
	case errors.As(err, &cut):
		if !cuts {
			return "cut", "nothing cuts a call off but the end of the program that holds it"
		}
		return "cut", ""
	case errors.As(err, &refused):
		lost := cuts && refused.Status == http.StatusNotFound // its stream was cut, and that was its session
		if fair && !lost && refused.Status != http.StatusTooManyRequests {
			return "refused", "nothing is refused in fair weather"
		}
		return fmt.Sprintf("refused %d", refused.Status), ""
	case errors.Is(err, caller.ErrNoToken):
		if fair {
			return "no token", "a user who signs in gets a token in fair weather"
		}
		return "no token", ""
	default:
		return "nameless", "every refusal says why"
	}
}
