package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// initializeLine is how the bridge initialises a child itself. It announces
// what clients can do: which of them can, the Conn finds out when it is asked.
const initializeLine = `{"jsonrpc":"2.0","id":"gh-init","method":"initialize","params":{"protocolVersion":"` + rpc.Version20251125 +
	`","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}},"clientInfo":{"name":"gatehouse","version":"1"}}}`

// InitializedLine tells a child that its client has read the answer.
const InitializedLine = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

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
func (s *Server) prepare(ctx context.Context, c *mux.Conn, modern bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Start)
	defer cancel()
	link, err := c.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		return err
	}
	defer link.Close()
	if modern {
		if result, err := s.probe(ctx, link); err == nil {
			c.SetReady(mux.Ready{Modern: true, Result: result})
			return nil
		}
	}
	result, err := link.Ask(ctx, []byte(initializeLine))
	if err == nil {
		c.SetReady(mux.Ready{Result: result})
		c.Tell([]byte(InitializedLine))
		return nil
	}
	if ctx.Err() != nil {
		c.Kill()
	}
	return err
}

// probe asks a child for its era.
func (s *Server) probe(ctx context.Context, l *mux.Link) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, min(probeTime, s.limits.Start/2))
	defer cancel()
	result, err := l.Ask(ctx, []byte(discoverLine))
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
