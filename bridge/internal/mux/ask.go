package mux

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// Ask makes a call of the bridge's own, about which no Guard is asked, and
// returns its raw result.
func (l *Link) Ask(ctx context.Context, line []byte) ([]byte, error) {
	m, err := rpc.Parse(line)
	if err != nil {
		return nil, err
	}
	q := event.NewQueue(l.conn.o.Bounds.Queue)
	call, err := l.CallAs(ctx, nil, &m, q)
	if err != nil {
		return nil, err
	}
	for {
		e, ok, err := q.Pop()
		switch {
		case ok && e.Final:
			return answerOf(e)
		case ok: // it came with this call, for no other is open
			l.standing.Push(e)
			continue
		case err != nil:
			return nil, err
		}
		select {
		case <-q.Wake():
		case <-ctx.Done():
			call.Cancel("no answer came in time")
			return nil, &Refusal{Reason: "the server did not answer " + m.Method + " in time", Retry: 5 * time.Second}
		}
	}
}

func answerOf(e event.Event) ([]byte, error) {
	m, err := rpc.Parse(e.Bytes())
	if err != nil {
		return nil, err
	}
	if !m.Failed {
		return m.Result(), nil
	}
	var failed rpc.Error
	if err := json.Unmarshal(m.Result(), &failed); err != nil {
		return nil, errors.New("the server answered with an error that cannot be read")
	}
	return nil, &failed
}

// Discard is the standing sink of a link of the bridge's own, which wants only
// answers.
type Discard struct{}

// Push implements event.Sink: what is said to the bridge is heard.
func (Discard) Push(event.Event) bool { return true }
