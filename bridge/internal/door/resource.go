package door

import (
	"bytes"
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
			pages, err := k.pages(by, parts, &m)
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

// noteTask remembers whose a task is that a call began.
func (k *desk) noteTask(in *inner, method string, e event.Event) {
	if e.Failed || method != rpc.CallTool || !bytes.Contains(e.Line, []byte("taskId")) {
		return
	}
	if id := rpc.TaskOf(method, e.Result()); id != "" {
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
