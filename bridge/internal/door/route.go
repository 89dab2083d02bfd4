package door

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Route finds the server that a message is for, and the message as that server
// knows it. An error is for the client.
func (d *Door) Route(
	ctx context.Context, who *contract.Identity, m *rpc.Message, a Asker,
) (s *Server, inner rpc.Message, err error) {
	at, own := rpc.Span{}, ""
	switch m.Method {
	case rpc.CallTool:
		s, at = d.named(ctx, who, rpc.ListTools, m.Name(), a), m.NameSpan()
	case rpc.GetPrompt:
		s, at = d.named(ctx, who, listPrompts, m.Name(), a), m.NameSpan()
	case rpc.ReadResource, mux.MethodSubscribe, mux.MethodUnsubscribe:
		s = d.ofURI(ctx, who, m.URI(), a)
	case "completion/complete":
		s, own, at = d.referred(ctx, who, m, a)
	default:
		if !strings.HasPrefix(m.Method, "tasks/") {
			return nil, *m, rpc.MethodNotFound(m.Method)
		}
		s = d.ofTask(who, m)
	}
	if s == nil {
		return nil, *m, unknown(m)
	}
	if err := s.Refuse(who); err != nil {
		return nil, *m, err
	}
	if at.None() {
		return s, *m, nil
	}
	if own == "" {
		own = d.own(who, s, m.Name())
	}
	inner, err = rpc.Reparse(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: at, With: rpc.Quote(own)}))
	return s, inner, err
}

func unknown(m *rpc.Message) error {
	switch {
	case m.Method == rpc.ReadResource:
		return rpc.Errorf(rpc.CodeNoResource, "Resource not found: no server lists %q", rpc.Clip(m.URI(), 256))
	case m.Name() != "":
		return rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: no server has %q", rpc.Clip(m.Name(), 256))
	}
	return rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: no server knows what %s names", m.Method)
}

// own is the name by which the server itself knows a tool or a prompt.
func (d *Door) own(who *contract.Identity, s *Server, outer string) string {
	if own, ok := d.memory.name(key(s, who), outer); ok {
		return own
	}
	return strings.TrimPrefix(outer, s.Name+d.Separator)
}

// named finds the server of a tool or a prompt. A name with a hash that nobody
// remembers is looked for in the lists of who has listed nothing yet.
func (d *Door) named(ctx context.Context, who *contract.Identity, list, name string, a Asker) *Server {
	prefixed := d.prefixed(name)
	if !hashed.MatchString(name) {
		return prefixed
	}
	among := d.usable(who)
	if prefixed != nil {
		among = []*Server{prefixed}
	}
	for range 2 {
		for _, s := range among {
			if _, ok := d.memory.name(key(s, who), name); ok {
				return s
			}
		}
		if !d.learn(ctx, who, list, among, a) {
			break
		}
	}
	return prefixed
}

// learn lets those list who have listed nothing to this caller; false where
// there are none.
func (d *Door) learn(ctx context.Context, who *contract.Identity, method string, among []*Server, a Asker) bool {
	const most = 32 // pages
	line := d.request(a, method)
	var all sync.WaitGroup
	asked := false
	for _, s := range among {
		if _, known := d.memory.has(key(s, who), method, ""); known || !s.has(method) || s.Refuse(who) != nil {
			continue
		}
		asked = true
		all.Go(func() {
			cursor := ""
			for range most {
				p := d.page(ctx, who, line(cursor), s, cursor, a)
				if cursor = rpc.Text(rpc.Member(p.result, "nextCursor")); p.err != nil || cursor == "" {
					return
				}
			}
		})
	}
	all.Wait()
	return asked
}

// request is a list request of the door's own.
func (d *Door) request(a Asker, method string) func(cursor string) []byte {
	return func(cursor string) []byte {
		params := `"cursor":` + string(rpc.Quote(cursor))
		if cursor == "" {
			params = ""
		}
		params = strings.Trim(params+","+a.Meta(), ",")
		id := "gh-door-" + strconv.FormatUint(d.asked.Add(1), 10)
		return []byte(`{"jsonrpc":"2.0","id":"` + id + `","method":"` + method + `","params":{` + params + `}}`)
	}
}

// ofURI finds the server of a resource: the first that lists it, or has the
// template that says most of it; where none does, the only one that has
// resources at all, or lists others of the same origin.
func (d *Door) ofURI(ctx context.Context, who *contract.Identity, uri string, a Asker) *Server {
	var servers []*Server
	for _, s := range d.usable(who) {
		if s.has(listResources) {
			servers = append(servers, s)
		}
	}
	for range 2 {
		if s := d.listing(who, uri, servers); s != nil {
			return s
		}
		asked := d.learn(ctx, who, listResources, servers, a)
		if also := d.learn(ctx, who, listTemplates, servers, a); !asked && !also {
			break
		}
	}
	if len(servers) == 1 {
		return servers[0]
	}
	return d.sameOrigin(who, uri, servers)
}

func (d *Door) listing(who *contract.Identity, uri string, servers []*Server) (found *Server) {
	for _, s := range servers {
		if has, _ := d.memory.has(key(s, who), listResources, uri); has {
			return s
		}
	}
	best := 0
	for _, s := range servers {
		for _, template := range d.memory.all(key(s, who), listTemplates) {
			if n := matches(template, uri); n > best {
				best, found = n, s
			}
		}
	}
	return found
}

// matches tells how many letters of the URI a template (RFC 6570) says itself;
// 0 where it is not one of its URIs. What stands for a variable may be anything.
func matches(template, uri string) (said int) {
	rest := uri
	for first := true; ; first = false {
		literal, after, more := strings.Cut(template, "{")
		at := strings.Index(rest, literal)
		switch {
		case at < 0, first && at != 0:
			return 0
		case !more && !first:
			if !strings.HasSuffix(rest, literal) {
				return 0
			}
			return said + len(literal)
		case !more:
			if rest != literal {
				return 0
			}
			return len(literal)
		}
		said, rest = said+len(literal), rest[at+len(literal):]
		if _, template, more = strings.Cut(after, "}"); !more {
			return 0
		}
	}
}

// sameOrigin is the only server that lists URIs of this one's scheme and
// authority, or nil.
func (d *Door) sameOrigin(who *contract.Identity, uri string, servers []*Server) (found *Server) {
	for _, s := range servers {
		for _, other := range d.memory.all(key(s, who), listResources) {
			if origin(other) == origin(uri) && found != s {
				if found != nil {
					return nil
				}
				found = s
			}
		}
	}
	return found
}

func origin(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		scheme, _, _ = strings.Cut(uri, ":")
		return scheme
	}
	authority, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + authority
}

// referred finds what a completion is for.
func (d *Door) referred(
	ctx context.Context, who *contract.Identity, m *rpc.Message, a Asker,
) (s *Server, own string, at rpc.Span) {
	params := m.Params()
	ref := rpc.MemberOf(params, "ref")
	if ref.None() {
		return nil, "", at
	}
	raw, start := params[ref.Start:ref.End], m.ParamsSpan().Start+ref.Start
	if rpc.Text(rpc.Member(raw, "type")) == "ref/resource" {
		uri := rpc.Text(rpc.Member(raw, "uri"))
		return d.ofTemplate(ctx, who, uri, a), "", at
	}
	name := rpc.MemberOf(raw, "name")
	if name.None() {
		return nil, "", at
	}
	outer := rpc.Text(raw[name.Start:name.End])
	if s = d.named(ctx, who, listPrompts, outer, a); s == nil {
		return nil, "", at
	}
	return s, d.own(who, s, outer), rpc.Span{Start: start + name.Start, End: start + name.End}
}

func (d *Door) ofTemplate(ctx context.Context, who *contract.Identity, template string, a Asker) *Server {
	servers := d.usable(who)
	d.learn(ctx, who, listTemplates, servers, a)
	for _, s := range servers {
		if has, _ := d.memory.has(key(s, who), listTemplates, template); has {
			return s
		}
	}
	return d.ofURI(ctx, who, template, a)
}
