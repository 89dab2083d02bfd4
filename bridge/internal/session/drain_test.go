package session

import (
	"context"
	"errors"
	"testing"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
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

// TestABusyClientDoesNotUseUpTheTimeOfADrain: its call under way is answered, a
// new one refused, and what its child asks because of the first is answered.
func TestABusyClientDoesNotUseUpTheTimeOfADrain(t *testing.T) {
	s := newStrict(t, nil)
	s.initialize()
	idle := openOn(t, s.table, s.server)
	free := s.make(waits)
	defer free()
	q := event.NewQueue(1 << 20)
	call := func(id string, q *event.Queue) error {
		m := message(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"told"}}`)
		_, err := s.Call(t.Context(), &s.Owner, m, q)
		return err
	}
	if err := call("7", q); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() { s.table.Drain(context.Background()); close(drained) }()
	<-idle.Done()
	if s.table.Draining() == nil {
		t.Error("nobody is told that the bridge stops")
	}
	var refusal *mux.Refusal
	err := call("8", event.NewQueue(1<<20))
	if !errors.As(err, &refusal) || s.Err() != nil {
		t.Errorf("a new call: %v; the session: %v", err, s.Err())
	}
	if err := s.Send(t.Context(), &s.Owner, message(t, `{"jsonrpc":"2.0","method":"notifications/x"}`)); err != nil {
		t.Errorf("a notification: %v", err)
	}
	free()
	<-drained
	if e, ok, _ := q.Pop(); !ok || e.Failed || !errors.Is(s.Err(), ErrDrain) {
		t.Errorf("the call under way is answered %s; the session: %v", e.Bytes(), s.Err())
	}
}
