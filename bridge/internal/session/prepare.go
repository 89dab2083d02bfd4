package session

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// initializeLine is how the bridge initialises a child itself. It announces
// what clients can do: which of them can, the Conn finds out when it is asked.
const initializeLine = `{"jsonrpc":"2.0","id":"gh-init","method":"initialize","params":{"protocolVersion":"` + rpc.Version20251125 +
	`","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}},"clientInfo":{"name":"gatehouse","version":"1"}}}`

const initializedLine = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

// discoverLine asks a child of 2026-07-28 for what initialize would tell.
const discoverLine = `{"jsonrpc":"2.0","id":"gh-discover","method":"server/discover","params":{"_meta":{` +
	`"io.modelcontextprotocol/protocolVersion":"` + rpc.Version20260728 + `",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"gatehouse","version":"1"},` +
	`"io.modelcontextprotocol/clientCapabilities":{}}}}`

// probeTime is how long a child may be silent on server/discover before it
// counts as older: such servers may drop what comes before initialize (2026-07-28,
// basic/transports/stdio, "Backward Compatibility").
const probeTime = 2 * time.Second

// prepare makes a child ready. For a caller of 2026-07-28 it asks first whether
// the child speaks that; a child that does not is initialised, and so is any
// child for a caller of the older era.
func (c *Conn) prepare(ctx context.Context, modern bool) error {
	ctx, cancel := context.WithTimeout(ctx, c.server.limits.Start)
	defer cancel()
	link, err := c.Link(LinkOptions{Standing: discard{}})
	if err != nil {
		return err
	}
	defer link.Close()
	if modern {
		if result, err := link.probe(ctx); err == nil {
			c.ready = Ready{Modern: true, Result: result}
			return nil
		}
	}
	result, err := link.ask(ctx, []byte(initializeLine))
	if err == nil {
		c.ready = Ready{Result: result}
		return c.write([]byte(initializedLine))
	}
	if ctx.Err() != nil {
		c.proc.Kill()
	}
	return err
}

// probe asks a child for its era.
func (l *Link) probe(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, min(probeTime, l.conn.server.limits.Start/2))
	defer cancel()
	result, err := l.ask(ctx, []byte(discoverLine))
	if err != nil {
		return nil, err
	}
	var found struct{ SupportedVersions []string }
	if err := json.Unmarshal(result, &found); err != nil {
		return nil, err
	}
	if !slices.Contains(found.SupportedVersions, rpc.Version20260728) {
		return nil, errors.New("the server does not speak " + rpc.Version20260728)
	}
	return result, nil
}

// ask makes a call of the bridge's own, about which no Guard is asked, and
// returns its raw result.
func (l *Link) ask(ctx context.Context, line []byte) ([]byte, error) {
	m, err := rpc.Parse(line)
	if err != nil {
		return nil, err
	}
	q := NewQueue(l.conn.server.limits.Queue)
	call, err := l.callAs(ctx, nil, &m, q)
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
			call.Cancel("the start took too long")
			return nil, &Refusal{Reason: "the server did not answer " + m.Method + " in time", Retry: 5 * time.Second}
		}
	}
}

func answerOf(e Event) ([]byte, error) {
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

// discard is the standing sink of a link that wants only answers.
type discard struct{}

func (discard) Push(Event) bool { return false }
