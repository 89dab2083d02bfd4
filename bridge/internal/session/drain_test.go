package session

import (
	"testing"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// TestADrainIsNotUndone by authsvc that answers again meanwhile (Contract 3).
func TestADrainIsNotUndone(t *testing.T) {
	server := fleet.NewServer(fleet.ServerConfig{Limits: fleet.DefaultLimits()})
	table := NewTable("", DefaultLimits(), server)
	table.Drain(t.Context())
	table.Refuse(nil)
	if _, err := table.Open(server, contract.Identity{Subject: "late"}, "sse"); err == nil {
		t.Error("a session was opened after the drain")
	}
	if err := table.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
