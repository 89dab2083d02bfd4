// Package outage keeps an outage from filling the log: what fails for each
// request is said once a minute for each cause, with how often it came up.
//
// It names causes; it must never decide what a caller is answered.
package outage

import (
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
)

const (
	every = time.Minute
	most  = 100 // texts; there are some twenty in the program
)

// Hook lets one warning of a text through a minute. Only what is out of order
// is a warning: a refusal is not, and each of them has its line.
func Hook(now func() time.Time) zerolog.Hook { return &hook{now: now, said: map[string]*line{}} }

type hook struct {
	now  func() time.Time
	mu   sync.Mutex
	said map[string]*line
}

type line struct {
	at   time.Time
	more int // held back since
}

// Run implements zerolog.Hook.
func (h *hook) Run(e *zerolog.Event, level zerolog.Level, text string) {
	if level != zerolog.WarnLevel {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	last, known := h.said[text]
	if known && now.Sub(last.at) < every && !now.Before(last.at) {
		last.more++
		e.Discard()
		return
	}
	if known && last.more > 0 {
		e.Int("held_back", last.more)
	}
	if !known && len(h.said) >= most {
		clear(h.said)
	}
	h.said[text] = &line{at: now}
}

// Cause says what an error means to whoever runs the gate.
func Cause(err error) string {
	for _, one := range []struct {
		is   error
		text string
	}{
		{session.ErrFull, "the store is full"},
		{session.ErrPassword, "the store refused the password of --redis-url"},
		{session.ErrUnavailable, "the store is out of reach"},
		{provider.ErrClient, "the provider refused the client's secret"},
		{provider.ErrNotThere, "the provider has no such realm: check --issuer"},
		{provider.ErrNotReady, "the provider has not been reached yet"},
		{provider.ErrKeys, "the provider's keys are out of reach"},
	} {
		if errors.Is(err, one.is) {
			return one.text
		}
	}
	return "a part that it needs is out of reach"
}
