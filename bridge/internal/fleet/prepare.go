package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// initializeLine is how the bridge initialises a child itself. It announces
// what clients can do: which of them can, the Conn finds out when it is asked.
func initializeLine(version string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":"gh-init","method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}},` +
		`"clientInfo":{"name":"gatehouse","version":"1"}}}`)
}

// Initialized tells a child that its client has read the answer.
const (
	Initialized     = "notifications/initialized"
	InitializedLine = `{"jsonrpc":"2.0","method":"` + Initialized + `"}`
)

// discoverLine asks a child of 2026-07-28 for what initialize would tell.
const discoverLine = `{"jsonrpc":"2.0","id":"gh-discover","method":"server/discover","params":{"_meta":{` +
	`"io.modelcontextprotocol/protocolVersion":"` + rpc.Version20260728 + `",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"gatehouse","version":"1"},` +
	`"io.modelcontextprotocol/clientCapabilities":{}}}}`

// silence is how long a child may say nothing to server/discover before it is
// asked to initialize as well: an older one may drop what comes before that
// (2026-07-28, basic/transports/stdio, "Backward Compatibility"). The first of
// the two good answers counts. A server of both eras that was only slow to
// start reads server/discover first, answers it, and refuses the other.
const silence = 2 * time.Second

// prepare makes a child ready, within the time of a start. For a caller of
// 2026-07-28 it asks first whether the child speaks that; a child that does not
// is initialised, and so is any child for a caller of the older era. owner is
// whose the child is, nil for nobody's.
func (s *Server) prepare(ctx context.Context, c *mux.Conn, owner *contract.Identity, modern bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Start)
	defer cancel()
	link, err := c.Link(mux.LinkOptions{Standing: mux.Discard{}})
	if err != nil {
		return err
	}
	defer link.Close()
	ready, err := meet(ctx, link, modern)
	if err != nil {
		if ctx.Err() != nil {
			c.Kill()
		}
		return err
	}
	c.SetReady(ready)
	if owner == nil || s.sameForAll() { // else it may name its user
		s.described.Store(&ready)
	}
	if ready.Modern {
		s.modern.Store(true)
	} else {
		c.Tell([]byte(InitializedLine))
	}
	return nil
}

func meet(ctx context.Context, l *mux.Link, modern bool) (mux.Ready, error) {
	if !modern {
		return initialize(ctx, l, rpc.Version20251125)
	}
	found := later(func() (mux.Ready, error) { return discover(ctx, l) })
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	select {
	case got := <-found:
		if got.err == nil {
			return got.ready, nil
		}
		return initialize(ctx, l, cmp.Or(named(got.err), rpc.Version20251125))
	case <-quiet.C:
	}
	older := later(func() (mux.Ready, error) { return initialize(ctx, l, rpc.Version20251125) })
	for {
		select {
		case got := <-found:
			if got.err == nil {
				return got.ready, nil
			}
			found = nil
		case got := <-older:
			if got.err == nil || found == nil {
				return got.ready, got.err
			}
			older = nil
		}
		if found == nil && older == nil {
			return mux.Ready{}, errors.New("the server answers neither server/discover nor initialize")
		}
	}
}

// met is what came of asking a child.
type met struct {
	ready mux.Ready
	err   error
}

func later(ask func() (mux.Ready, error)) <-chan met {
	answer := make(chan met, 1)
	go func() {
		ready, err := ask()
		answer <- met{ready, err}
	}()
	return answer
}

// discover asks a child for its era.
func discover(ctx context.Context, l *mux.Link) (mux.Ready, error) {
	result, err := l.Ask(ctx, []byte(discoverLine))
	if err != nil {
		return mux.Ready{}, err
	}
	if !slices.Contains(versions(rpc.Member(result, "supportedVersions")), rpc.Version20260728) {
		return mux.Ready{}, errors.New("the server does not speak " + rpc.Version20260728)
	}
	return mux.Ready{Modern: true, Result: result}, nil
}

// initialize begins with a child as its client. One that refuses the version
// and names others is believed.
func initialize(ctx context.Context, l *mux.Link, version string) (mux.Ready, error) {
	result, err := l.Ask(ctx, initializeLine(version))
	if other := named(err); other != "" && other != version {
		result, err = l.Ask(ctx, initializeLine(other))
	}
	return mux.Ready{Result: result}, err
}

// named is the newest version with sessions that a child names where it refuses
// one (-32022), or "".
func named(err error) string {
	var refusal *rpc.Error
	if !errors.As(err, &refusal) || refusal.Code != rpc.CodeUnsupportedVersion {
		return ""
	}
	offered := versions(rpc.Member(refusal.Data, "supported"))
	for _, v := range rpc.Versions() {
		if rpc.HasSessions(v) && slices.Contains(offered, v) {
			return v
		}
	}
	return ""
}

// versions reads a list of them.
func versions(raw []byte) (all []string) {
	const most = 64                                 // more than there will be
	_ = rpc.EachItem(raw, func(at rpc.Span) error { // what is no list names none
		if len(all) == most {
			return rpc.ErrMessage
		}
		all = append(all, rpc.Text(raw[at.Start:at.End]))
		return nil
	})
	return all
}
