package stateless_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/translate"
	"gatehouse/internal/contract"
)

// elder is a session of an older client in front of a child of 2026-07-28.
type elder struct {
	t       *testing.T
	session *session.Session
	queue   *event.Queue
}

func (e *elder) say(line string) {
	e.t.Helper()
	m, err := rpc.ParseClient([]byte(line))
	if err != nil {
		e.t.Fatal(err)
	}
	if m.Kind == rpc.Request {
		_, err = e.session.Call(e.t.Context(), &e.session.Owner, &m, e.queue)
	} else {
		err = e.session.Send(e.t.Context(), &e.session.Owner, &m)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *elder) hear(parts ...string) string {
	e.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		event, ok, err := e.queue.Pop()
		if err != nil {
			e.t.Fatal(err)
		}
		if ok {
			line := string(event.Bytes())
			for _, part := range parts {
				if !strings.Contains(line, part) {
					e.t.Fatalf("heard %s, want %q", line, parts)
				}
			}
			return line
		}
		select {
		case <-e.queue.Wake():
		case <-deadline:
			e.t.Fatalf("heard nothing, want %q", parts)
		}
	}
}

func TestAnOlderClientSpeaksToAModernChild(t *testing.T) {
	starter := child.NewStarter()
	server := fleet.NewServer(fleet.ServerConfig{
		Spec:      child.Spec{Argv: []string{os.Args[0]}, Env: append(os.Environ(), childEnv+"=modern")},
		Isolation: fleet.PerSession, Limits: fleet.DefaultLimits(), Starter: starter, Log: zerolog.Nop(),
		Child: child.Options{StdinGrace: time.Second, TermGrace: time.Second},
		Adapt: func() mux.Adapter { return translate.NewElder() },
	})
	table := session.NewTable("", session.DefaultLimits(), server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = table.Close(ctx)
		_ = server.Close(ctx)
		starter.Close()
	})
	s, err := table.Open(server, contract.Identity{Subject: "alice"}, "streamable")
	if err != nil {
		t.Fatal(err)
	}
	e := &elder{t, s, event.NewQueue(1 << 20)}
	e.say(
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`,
	)
	e.hear(`"id":1`, `"protocolVersion":"2025-06-18"`, `"listChanged":true`)
	e.say(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"ask"}}`)
	asked := e.hear("elicitation/create", `"who?"`)
	o, err := translate.Parse([]byte(asked))
	if err != nil {
		t.Fatal(err)
	}
	e.say(`{"jsonrpc":"2.0","id":` + string(o.Get("id")) + `,"result":{"action":"accept"}}`)
	e.hear(`"id":2`, `"answer":{"who":{"action":"accept"}}`)
	e.say(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	e.hear(`"id":3`, `"result":{}`)
}
