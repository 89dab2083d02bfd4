package fleet_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) { fronttest.Main(m) }

// TestAUserWhoSignsInAgainAndAgainIsBounded: each login has a warm child.
func TestAUserWhoSignsInAgainAndAgainIsBounded(t *testing.T) {
	starter, limits := child.NewStarter(), fleet.DefaultLimits()
	limits.Sessions, limits.SessionsPerUser = 2, 1
	server := fleet.NewServer(fleet.ServerConfig{
		Spec: fronttest.Spec(fronttest.Plain), Starter: starter,
		Child:     child.Options{StdinGrace: 20 * time.Millisecond, TermGrace: time.Second},
		Isolation: fleet.PerUser, Limits: limits, Log: zerolog.Nop(),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Close(ctx)
		starter.Close()
	})
	acquire := func(user, login string) (*fleet.Lease, error) {
		return server.Pool().Acquire(t.Context(), &contract.Identity{Subject: user, SessionID: login})
	}
	first, err := acquire("alice", "1")
	if err != nil {
		t.Fatal(err)
	}
	var full *mux.Refusal
	if _, err := acquire("alice", "2"); !errors.As(err, &full) || !full.Full {
		t.Errorf("a second child in use: %v", err)
	}
	other, err := acquire("bob", "3")
	if err != nil {
		t.Fatalf("another user: %v", err)
	}
	if _, err := acquire("carol", "4"); !errors.As(err, &full) || full.Full {
		t.Errorf("a third child in use: %v", err)
	}
	first.Release()
	second, err := acquire("alice", "2")
	if err != nil {
		t.Fatalf("beside an idle child: %v", err)
	}
	select {
	case <-first.Conn.Done(): // it made room
	case <-time.After(20 * time.Second):
		t.Error("the idle child did not make room")
	}
	second.Release()
	other.Release()
}
