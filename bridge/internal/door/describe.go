package door

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// initialize answers with the union of what the servers say of themselves. One
// of which nothing is known is asked, for as long as a list waits for it.
func (k *desk) initialize(ctx context.Context, by caller, m *rpc.Message) {
	k.mu.Lock()
	k.init = bytes.Clone(m.Params())
	k.mu.Unlock()
	parts := k.door.parts(by.id)
	var wait sync.WaitGroup
	for _, p := range parts {
		if k.door.described(p.Server, by.id) != nil {
			continue
		}
		wait.Go(func() {
			if _, err := k.soon(ctx, by, p); err != nil {
				k.log.Warn().Err(err).Str("server", p.Name).Msg("what it can do is not known yet")
			}
		})
	}
	wait.Wait()
	version := rpc.Text(rpc.Member(m.Params(), "protocolVersion"))
	if !rpc.HasSessions(version) {
		version = rpc.Version20251125
	}
	result, _ := json.Marshal(map[string]any{ // of strings and of what came as JSON
		"protocolVersion": version,
		"capabilities":    k.door.capabilities(parts, by.id),
		"serverInfo":      map[string]string{"name": "gatehouse", "title": "gatehouse", "version": "1"},
		"instructions":    k.door.instructions(parts, by.id),
	})
	k.reply(m.ID(), result)
}

// capabilities is the union. Lists change when the servers do.
func (d *Door) capabilities(parts []Part, who *contract.Identity) map[string]any {
	all := map[string]any{}
	for _, p := range parts {
		var own map[string]any
		if json.Unmarshal(rpc.Member(d.described(p.Server, who), "capabilities"), &own) == nil {
			union(all, own)
		}
	}
	for _, kind := range []string{"tools", "prompts", "resources"} {
		if has, ok := all[kind].(map[string]any); ok {
			has["listChanged"] = true
		}
	}
	return all
}

// union adds what a lacks; where both say something that is no object, true
// stands.
func union(a, b map[string]any) {
	for key, value := range b {
		in, isObject := value.(map[string]any)
		have, there := a[key]
		if old, both := have.(map[string]any); both && isObject {
			union(old, in)
		} else if !there || value == true {
			a[key] = value
		}
	}
}

const maxInstructions = 16 << 10 // bytes of one server's

// instructions are the servers' own, each under its name.
func (d *Door) instructions(parts []Part, who *contract.Identity) string {
	var all strings.Builder
	all.WriteString("Several servers answer here. The tools and prompts of each begin with its name and " +
		d.o.Separator + ".\n")
	for _, p := range parts {
		if own := rpc.Text(rpc.Member(d.described(p.Server, who), "instructions")); own != "" {
			all.WriteString("\n## " + p.Name + "\n" + rpc.Clip(own, maxInstructions) + "\n")
		}
	}
	return all.String()
}

// has tells whether a server may have such a list: one of which nothing is
// known may.
func (d *Door) has(server *fleet.Server, who *contract.Identity, capability string) bool {
	described := d.described(server, who)
	return described == nil || rpc.Member(rpc.Member(described, "capabilities"), capability) != nil
}

// setLevel tells each server the level that the client wants, and those whose
// sessions are opened later.
func (k *desk) setLevel(ctx context.Context, by caller, m *rpc.Message) {
	k.mu.Lock()
	k.level = bytes.Clone(m.Params())
	k.mu.Unlock()
	var failed error
	told := 0
	for _, p := range k.door.parts(by.id) {
		in := k.open(p)
		if in == nil || !k.door.has(p.Server, by.id, "logging") {
			continue
		}
		if _, err := in.ask(ctx, by, m.Method, m.Params()); err != nil {
			failed = err
		} else {
			told++
		}
	}
	if failed != nil && told == 0 {
		k.fail(m.ID(), failed)
		return
	}
	k.reply(m.ID(), []byte("{}"))
}
