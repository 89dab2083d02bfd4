package session

import (
	"errors"
	"testing"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// TestACallThatWaitsForAChildKeepsItsSession: nothing is busy yet, and its client
// waits all the same.
func TestACallThatWaitsForAChildKeepsItsSession(t *testing.T) {
	starts, fails := make(chan struct{}), make(chan struct{})
	s := newStrictFrom(t, func(c *fleet.ServerConfig) {
		c.Start = func(*contract.Identity, string) (mux.Process, error) {
			close(starts)
			<-fails
			return nil, errors.New("no child")
		}
	})
	done := make(chan error, 1)
	go func() {
		_, err := s.Call(t.Context(), &s.Owner, message(t, initializeLine), event.NewQueue(1<<20))
		done <- err
	}()
	<-starts
	late := time.Now().Add(s.table.limits.Idle + time.Minute)
	if err := s.over(late); err != nil {
		t.Errorf("the session of a call that waits is to end: %v", err)
	}
	close(fails)
	if err := <-done; err == nil {
		t.Error("a call without a child is answered")
	}
	if err := s.over(late); !errors.Is(err, ErrIdle) {
		t.Errorf("when nobody waits: %v, want %v", err, ErrIdle)
	}
}
