package door

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// kind is what one method lists.
type kind struct {
	member     string // of the result
	capability string
	changed    string // the notification that says so
	item       func(k *desk, parts []Part, p Part, item []byte) []byte
}

// lists are the methods whose answers are put together; nil from item leaves
// one out.
var lists = map[string]kind{
	rpc.ListTools:    {"tools", "tools", "notifications/tools/list_changed", (*desk).prefixed},
	"prompts/list":   {"prompts", "prompts", "notifications/prompts/list_changed", (*desk).prefixed},
	"resources/list": {"resources", "resources", "notifications/resources/list_changed", (*desk).owned},
	"resources/templates/list": {
		"resourceTemplates", "resources", "notifications/resources/list_changed", (*desk).modelled,
	},
	"tasks/list": {"tasks", "tasks", "", (*desk).tasked},
}

// changes are the lists that a notification says have changed.
var changes = map[string][]string{
	"notifications/tools/list_changed":     {rpc.ListTools},
	"notifications/prompts/list_changed":   {"prompts/list"},
	"notifications/resources/list_changed": {"resources/list", "resources/templates/list"},
}

// page is a server's part of a list.
type page struct {
	part   Part
	cursor json.RawMessage // to ask with; nil for the first
	result []byte
	err    error
}

// list asks each server for its page, all at once, and joins what comes in
// time. What does not costs its own entries.
func (k *desk) list(ctx context.Context, by caller, m *rpc.Message) {
	parts := k.door.parts(by.id)
	pages, err := k.pages(by, parts, m)
	if err != nil {
		k.fail(m.ID(), err)
		return
	}
	k.fetch(ctx, by, pages, m.Method)
	if ctx.Err() != nil {
		return
	}
	k.reply(m.ID(), k.join(parts, pages, m.Method))
}

// fetch asks for all pages at once.
func (k *desk) fetch(ctx context.Context, by caller, pages []page, method string) {
	var wait sync.WaitGroup
	for i := range pages {
		p := &pages[i]
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, k.door.o.ListTime)
			defer cancel()
			p.result, p.err = k.page(ctx, by, p, method)
		})
	}
	wait.Wait()
}

// pages are whom to ask: all who have such a list, or those whose cursors the
// client's holds.
func (k *desk) pages(by caller, parts []Part, m *rpc.Message) (pages []page, err error) {
	cursor := rpc.Member(m.Params(), "cursor")
	var at map[string]json.RawMessage
	if cursor != nil && string(cursor) != "null" {
		if at, err = cursors(rpc.Text(cursor)); err != nil {
			return nil, err
		}
	}
	for _, p := range parts {
		if at != nil {
			if at[p.Name] != nil {
				pages = append(pages, page{part: p, cursor: at[p.Name]})
			}
			continue
		}
		if k.door.has(p.Server, by.id, lists[m.Method].capability) {
			pages = append(pages, page{part: p})
		}
	}
	return pages, nil
}

// cursors reads a cursor of the door: the servers' own, by their names.
func cursors(text string) (at map[string]json.RawMessage, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &at)
	}
	for _, own := range at {
		if len(own) == 0 || own[0] != '"' {
			at = nil // a server gives strings
			break
		}
	}
	if err != nil || at == nil {
		return nil, rpc.Errorf(rpc.CodeInvalidParams, "cursor is none that this list gave: begin without one")
	}
	return at, nil
}

// page is one server's, from memory where its session is not open yet.
func (k *desk) page(ctx context.Context, by caller, p *page, method string) ([]byte, error) {
	key := keyOf(p.part.Server, method, by.id)
	params := []byte("{}")
	if p.cursor != nil {
		params = append(append([]byte(`{"cursor":`), p.cursor...), '}')
	} else if k.open(p.part) == nil {
		if known := k.door.memory.get(key); known != nil {
			if err := k.answered(ctx, by, p.part, method, known); err != nil {
				return nil, err
			}
			k.recall(p.part, method, known)
			return known, nil
		}
	}
	in, err := k.soon(ctx, by, p.part)
	if err != nil {
		return nil, err
	}
	result, err := in.ask(ctx, by, method, params)
	if p.cursor != nil || method == "tasks/list" {
		return result, err
	}
	if err == nil {
		k.door.memory.put(key, result)
		return result, nil
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, err
	}
	// It is told from memory or not at all, and told anew once the answer is there.
	known := k.door.memory.get(key)
	k.recall(p.part, method, known)
	go in.compare(by)
	if known != nil {
		return known, nil
	}
	return nil, err
}

// answered tells the guard of a server of a list that is told in its place.
func (k *desk) answered(ctx context.Context, by caller, p Part, method string, result []byte) error {
	m, err := rpc.Reparse([]byte(`{"jsonrpc":"2.0","id":0,"method":"` + method + `"}`))
	if err != nil {
		return err
	}
	who := &mux.Caller{Identity: by.id, Era: by.era, Server: p.Name}
	return p.Server.Answered(ctx, who, &m, len(result))
}

// recall notes that the client was told a list that may be another by now, or
// none where result is nil.
func (k *desk) recall(p Part, method string, result []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept(p).recalled[method] = result
}

var errNotOpen = rpc.Errorf(rpc.CodeSession, "the session is not open")

// join makes one result of the pages.
func (k *desk) join(parts []Part, pages []page, method string) []byte {
	kind, next := lists[method], map[string]json.RawMessage{}
	var all bytes.Buffer
	all.WriteString(`{"` + kind.member + `":[`)
	first := all.Len()
	for _, p := range pages {
		if p.err != nil {
			k.log.Warn().Err(p.err).Str("server", p.part.Name).Str("method", method).
				Msg("a list goes without this server's part")
			continue
		}
		items := rpc.Member(p.result, kind.member)
		_ = rpc.EachItem(items, func(at rpc.Span) error { // what is no list has no items
			if item := kind.item(k, parts, p.part, items[at.Start:at.End]); item != nil {
				if all.Len() > first {
					all.WriteByte(',')
				}
				all.Write(item)
			}
			return nil
		})
		if cursor := rpc.Member(p.result, "nextCursor"); len(cursor) > 0 && cursor[0] == '"' {
			next[p.part.Name] = cursor
		}
	}
	all.WriteByte(']')
	if len(next) > 0 {
		text, _ := json.Marshal(next) // raw strings of JSON
		all.WriteString(`,"nextCursor":"` + base64.RawURLEncoding.EncodeToString(text) + `"`)
	}
	all.WriteByte('}')
	return all.Bytes()
}

// prefixed is a tool or a prompt under its public name.
func (k *desk) prefixed(parts []Part, p Part, item []byte) []byte {
	at := rpc.MemberOf(item, "name")
	name := rpc.Text(item[at.Start:at.End])
	if name == "" {
		return nil
	}
	return rpc.AppendEdited(nil, item, rpc.Edit{At: at, With: rpc.Quote(k.door.public(parts, p.Name, name))})
}
