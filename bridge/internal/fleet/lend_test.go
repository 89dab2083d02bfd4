package fleet_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// loan hides one word.
type loan struct{}

func (loan) Place(string) ([]string, error) { return nil, nil }

func (loan) Hide(text string, _ bool) (shown, rest string) {
	return strings.ReplaceAll(text, "hush", "[credential]"), ""
}

func (loan) Guard(next mux.Guard) mux.Guard { return next }
func (loan) Started(fleet.Borrower)         {}
func (loan) Return()                        {}

type syncedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *syncedText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *syncedText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestACredentialIsHiddenFromTheLogAndFromTheClient: the last words of a child
// are in the answer to the call that it died under.
func TestACredentialIsHiddenFromTheLogAndFromTheClient(t *testing.T) {
	var log syncedText
	server := newServer(t, func(c *fleet.ServerConfig) {
		c.Lend = func(context.Context, *contract.Identity) (fleet.Loan, error) { return loan{}, nil }
		c.Log = zerolog.New(&log)
	})
	lease, err := server.Pool().Acquire(t.Context(), &contract.Identity{Subject: "alice", SessionID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	link, err := lease.Conn.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	_, err = link.Ask(t.Context(), []byte(fronttest.Call("1", "die", "401 for hush", 0)))
	var dead *rpc.Error
	if !errors.As(err, &dead) || !strings.Contains(string(dead.Data), "401 for [credential]") {
		t.Errorf("the client is told %v", err)
	}
	<-lease.Conn.Done()
	lease.Release()
	if dead != nil && strings.Contains(string(dead.Data), "hush") || strings.Contains(log.String(), "hush") {
		t.Errorf("told in clear: %s\n%s", dead.Data, log.String())
	}
}
