package session

import (
	"errors"
	"testing"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// TestTheSessionsBehindOneCountForNobody: the bound is of what clients open.
func TestTheSessionsBehindOneCountForNobody(t *testing.T) {
	limits := DefaultLimits()
	limits.Sessions = 2
	server := fleet.NewServer(fleet.ServerConfig{Limits: limits.Limits, Log: zerolog.Nop()})
	table := NewTable("", limits, server)
	t.Cleanup(func() { _ = table.Close(t.Context()) })
	open := func(user string) (*Session, error) {
		return table.Open(server, contract.Identity{Subject: user}, "streamable")
	}
	first, err := open("alice")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // one at each server
		if _, err := table.OpenWithin(server, first.Owner, "door"); err != nil {
			t.Errorf("behind it: %v", err)
		}
	}
	if _, err := open("bob"); err != nil {
		t.Errorf("the second client: %v", err)
	}
	var full *mux.Refusal
	if _, err := open("carol"); !errors.As(err, &full) {
		t.Errorf("the third client: %v", err)
	}
	first.End(ErrDeleted)
	if _, err := open("carol"); err != nil {
		t.Errorf("in place of the first: %v", err)
	}
}
