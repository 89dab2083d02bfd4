package door

import (
	"context"
	"slices"
	"strings"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// Resources keep their URIs, so the door remembers whose each is.

// template is the fixed beginning of a resource template.
type template struct{ begins, part string }

const (
	maxOwners = 16 << 10
	maxModels = 1 << 10
	maxTasks  = 4 << 10
)

// owned is a resource on the list, where no server before has one of its URI.
func (k *desk) owned(parts []Part, p Part, item []byte) []byte {
	uri := rpc.Text(rpc.Member(item, "uri"))
	k.mu.Lock()
	defer k.mu.Unlock()
	owner, known := k.owners[uri]
	if known && owner != p.Name && slices.ContainsFunc(parts, func(p Part) bool { return p.Name == owner }) {
		k.log.Warn().Str("uri", rpc.Clip(uri, 256)).Str("server", owner).Str("left_out", p.Name).
			Msg("two servers list one resource: the first in the file is asked for it")
		return nil
	}
	if len(k.owners) >= maxOwners {
		clear(k.owners) // the next list tells again
	}
	k.owners[uri] = p.Name
	return item
}

// modelled notes a template.
func (k *desk) modelled(_ []Part, p Part, item []byte) []byte {
	begins, _, _ := strings.Cut(rpc.Text(rpc.Member(item, "uriTemplate")), "{")
	t := template{begins, p.Name}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, old := range k.models {
		if old == t {
			return item
		}
	}
	if begins != "" && len(k.models) < maxModels {
		k.models = append(k.models, t)
	}
	return item
}

// ownerOf is the server of a URI: who listed it, or the one whose template
// begins like it for longest, or the only one that listed anything of its
// scheme.
func (k *desk) ownerOf(uri string) (part string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if owner := k.owners[uri]; owner != "" {
		return owner
	}
	longest := 0
	for _, t := range k.models {
		if len(t.begins) > longest && strings.HasPrefix(uri, t.begins) {
			part, longest = t.part, len(t.begins)
		}
	}
	if part != "" {
		return part
	}
	scheme, _, _ := strings.Cut(uri, ":")
	for listed, owner := range k.owners {
		if !strings.HasPrefix(listed, scheme+":") {
			continue
		}
		if part != "" && part != owner {
			return ""
		}
		part = owner
	}
	return part
}

// resource passes on a call by a URI. Where nobody is known to have it the
// lists are asked for first; a URI is told to no server that has not listed it.
func (k *desk) resource(by caller, m *rpc.Message) {
	if p, ok := k.partOf(by, k.ownerOf(m.URI())); ok {
		k.forward(by, p, m)
		return
	}
	k.begin(m, func(ctx context.Context) {
		k.surveyed(ctx, by)
		if p, ok := k.partOf(by, k.ownerOf(m.URI())); ok {
			k.forward(by, p, m)
			return
		}
		k.fail(m.ID(), rpc.Errorf(rpc.CodeNoResource, "no server lists the resource %q", rpc.Clip(m.URI(), 256)))
	})
}

// surveyed asks for the lists of resources, all pages.
func (k *desk) surveyed(ctx context.Context, by caller) {
	const most = 32 // pages
	for _, method := range []string{"resources/list", "resources/templates/list"} {
		parts := k.door.parts(by.id)
		line := []byte(`{"jsonrpc":"2.0","id":0,"method":"` + method + `"}`)
		for range most {
			m, err := rpc.Reparse(line)
			if err != nil {
				break
			}
			pages, err := k.pages(parts, &m)
			if err != nil || len(pages) == 0 {
				break
			}
			k.fetch(ctx, by, pages, method)
			next := rpc.Member(k.join(parts, pages, method), "nextCursor")
			if next == nil || ctx.Err() != nil {
				break
			}
			line = []byte(`{"jsonrpc":"2.0","id":0,"method":"` + method + `","params":{"cursor":` + string(next) + `}}`)
		}
	}
}

// partOf is a server by its name, where the caller may use it.
func (k *desk) partOf(by caller, name string) (Part, bool) {
	for _, p := range k.door.parts(by.id) {
		if p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// complete passes on a completion by what it is for.
func (k *desk) complete(by caller, m *rpc.Message) {
	params := rpc.MemberOf(m.Line, "params")
	ref := inside(m.Line, params, "ref")
	if at := inside(m.Line, ref, "name"); !at.None() {
		p, name, ok := k.door.resolve(k.door.parts(by.id), rpc.Text(m.Line[at.Start:at.End]))
		if ok {
			own, err := rpc.Reparse(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: at, With: rpc.Quote(name)}))
			if err == nil {
				k.forward(by, p, &own)
				return
			}
		}
		k.fail(m.ID(), rpc.Errorf(rpc.CodeInvalidParams, "no server has the prompt that is to be completed"))
		return
	}
	at := inside(m.Line, ref, "uri")
	k.begin(m, func(ctx context.Context) {
		uri := rpc.Text(m.Line[at.Start:at.End])
		begins, _, _ := strings.Cut(uri, "{")
		owner := k.ownerOf(begins)
		if owner == "" {
			k.surveyed(ctx, by)
			owner = k.ownerOf(begins)
		}
		if p, ok := k.partOf(by, owner); ok {
			k.forward(by, p, m)
			return
		}
		k.fail(m.ID(), rpc.Errorf(rpc.CodeInvalidParams, "no server lists the resource that is to be completed"))
	})
}

// inside is the place of a member of the object at a place of line.
func inside(line []byte, at rpc.Span, name string) rpc.Span {
	if at.None() {
		return at
	}
	in := rpc.MemberOf(line[at.Start:at.End], name)
	if in.None() {
		return in
	}
	return rpc.Span{Start: at.Start + in.Start, End: at.Start + in.End}
}

// noteTask remembers whose a task is that a call began.
func (k *desk) noteTask(in *inner, method string, e event.Event) {
	if e.Failed || method != rpc.CallTool {
		return
	}
	if id := rpc.Text(rpc.Member(rpc.Member(e.Result(), "task"), "taskId")); id != "" {
		k.keepTask(id, in.part.Name)
	}
}

// tasked notes whose a task on a list is.
func (k *desk) tasked(_ []Part, p Part, item []byte) []byte {
	if id := rpc.Text(rpc.Member(item, "taskId")); id != "" {
		k.keepTask(id, p.Name)
	}
	return item
}

func (k *desk) keepTask(id, part string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tasks) >= maxTasks {
		clear(k.tasks) // tasks/list tells again
	}
	if k.tasks[id] == "" { // who began it first has it
		k.tasks[id] = part
	}
}

// task passes on a call about a task.
func (k *desk) task(by caller, m *rpc.Message) {
	id := rpc.Text(rpc.Member(m.Params(), "taskId"))
	k.mu.Lock()
	owner := k.tasks[id]
	k.mu.Unlock()
	if p, ok := k.partOf(by, owner); ok {
		k.forward(by, p, m)
		return
	}
	k.fail(m.ID(), rpc.Errorf(rpc.CodeInvalidParams, "no task of this session has the id %q", rpc.Clip(id, 128)))
}
