package door

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// The methods whose answers are merged.
const (
	listPrompts   = "prompts/list"
	listResources = "resources/list"
	listTemplates = "resources/templates/list"
	listTasks     = "tasks/list"
)

// kind is what a list holds.
type kind struct {
	items, name string // members: the array, and what its entries are called by
	of          string // the capability
	renamed     bool   // its names are the door's outside
}

func kindOf(method string) (kind, bool) {
	k, ok := map[string]kind{
		rpc.ListTools: {"tools", "name", "tools", true},
		listPrompts:   {"prompts", "name", "prompts", true},
		listResources: {"resources", "uri", "resources", false},
		listTemplates: {"resourceTemplates", "uriTemplate", "resources", false},
		listTasks:     {"tasks", "taskId", "tasks", false},
	}[method]
	return k, ok
}

// Lists reports whether List answers the method.
func Lists(method string) bool {
	_, ok := kindOf(method)
	return ok
}

// part is what one server gives to a list.
type part struct {
	server   *Server
	result   []byte
	recalled bool
	err      error
}

// List is the lists of all servers as one, in the order of the file. recalled
// says that some of it comes out of memory.
func (d *Door) List(
	ctx context.Context, who *contract.Identity, m *rpc.Message, a Asker,
) (result []byte, recalled bool, err error) {
	from, err := readCursor(m)
	if err != nil {
		return nil, false, err
	}
	var servers []*Server
	for _, s := range d.usable(who) {
		if _, more := from[s.Name]; (more || from == nil) && d.mayList(s, m.Method, a) {
			servers = append(servers, s)
		}
	}
	parts := d.ask(ctx, who, m, servers, from, a)
	for _, p := range parts {
		recalled = recalled || p.recalled
	}
	return d.merge(who, m.Method, parts), recalled, nil
}

// mayList leaves out who has said that it has none of these, and whom tasks
// would have to be started for.
func (d *Door) mayList(s *Server, method string, a Asker) bool {
	if method == listTasks && !a.Running(s) {
		return false
	}
	return method == listTasks || s.has(method)
}

// has reports whether the server has what the method lists, as far as is known.
func (s *Server) has(method string) bool {
	k, _ := kindOf(method)
	return s.can(k.of)
}

// can reports whether the server announces a capability, as far as is known.
func (s *Server) can(what string) bool {
	about, known := s.Fleet.Described()
	return !known || rpc.Member(rpc.Member(about.Result, "capabilities"), what) != nil
}

// ask asks all at once.
func (d *Door) ask(
	ctx context.Context, who *contract.Identity, m *rpc.Message, servers []*Server, from map[string]string, a Asker,
) []part {
	parts := make([]part, len(servers))
	line := bytes.Clone(m.Line) // the front gives its own back when it has the answer
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() {
			parts[i] = d.page(ctx, who, line, s, from[s.Name], a)
			parts[i].server = s
			if err := parts[i].err; err != nil && !noSuchMethod(err) && ctx.Err() == nil {
				d.Log.Warn().Str("server", s.Name).Str("method", m.Method).Err(err).
					Msg("a list is without the entries of this server")
			}
		})
	}
	all.Wait()
	return parts
}

func noSuchMethod(err error) bool {
	var e *rpc.Error
	return errors.As(err, &e) && e.Code == rpc.CodeMethodNotFound
}

var errLate = errors.New("it did not answer in the time of a list")

// page is one page of a server's list: out of memory where the caller has no
// child of it. A server that answers too late is remembered all the same.
func (d *Door) page(
	ctx context.Context, who *contract.Identity, line []byte, s *Server, cursor string, a Asker,
) part {
	m, err := withCursor(line, cursor)
	if err != nil {
		return part{err: err}
	}
	of := key(s, who)
	if raw, ok := d.memory.page(of, m.Method); ok && cursor == "" && !a.Running(s) {
		raw, err = s.Fleet.Filtered(ctx, a.Caller(s), &m, raw)
		return part{result: raw, recalled: true, err: err}
	}
	limits, done := s.Fleet.Limits(), make(chan part, 1)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Start+d.ListTime)
	go func() {
		defer cancel()
		result, err := a.Ask(late, s, &m)
		if err == nil && m.Method != listTasks {
			d.memory.note(of, m.Method, cursor == "", result, d.entries(s, m.Method, result))
		}
		done <- part{result: result, err: err}
	}()
	timer := time.NewTimer(d.ListTime)
	defer timer.Stop()
	select {
	case p := <-done:
		return p
	case <-timer.C:
		return part{err: errLate}
	case <-ctx.Done():
		return part{err: ctx.Err()}
	}
}

// withCursor is the client's own request, with the server's cursor in it.
func withCursor(line []byte, cursor string) (rpc.Message, error) {
	m, err := rpc.Reparse(line)
	if err != nil || cursor == "" {
		return m, err
	}
	params, at := m.ParamsSpan(), rpc.MemberOf(m.Params(), "cursor") // readCursor found it
	place := rpc.Span{Start: params.Start + at.Start, End: params.Start + at.End}
	return rpc.Reparse(rpc.AppendEdited(nil, line, rpc.Edit{At: place, With: rpc.Quote(cursor)}))
}

// entries are the things that a page lists.
func (d *Door) entries(s *Server, method string, result []byte) (all []entry) {
	k, _ := kindOf(method)
	items := rpc.Member(result, k.items)
	_ = rpc.EachItem(items, func(at rpc.Span) error { // what is no list has none
		e := entry{own: rpc.Text(rpc.Member(items[at.Start:at.End], k.name))}
		if k.renamed {
			if outer, asIs := d.outer(s, e.own); !asIs {
				e.outer = outer
				if d.once(s.Name + "\x00" + e.own) {
					d.Log.Info().Str("server", s.Name).Str("name", rpc.Clip(e.own, 2*maxName)).Str("outside", outer).
						Msg("a name is too long, or is no good name, behind the name of its server")
				}
			}
		}
		all = append(all, e)
		return nil
	})
	return all
}

// merge makes one list. What two servers list under one URI is the first one's.
func (d *Door) merge(who *contract.Identity, method string, parts []part) []byte {
	k, _ := kindOf(method)
	out, more := []byte(`{"`+k.items+`":[`), map[string]string{}
	empty := len(out)
	for i, p := range parts {
		if p.err != nil {
			continue
		}
		items := rpc.Member(p.result, k.items)
		_ = rpc.EachItem(items, func(at rpc.Span) error { // what is no list has none
			item := items[at.Start:at.End]
			name := rpc.MemberOf(item, k.name)
			own := rpc.Text(item[name.Start:name.End])
			switch {
			case name.None():
				return nil
			case k.renamed:
				outer, _ := d.outer(p.server, own)
				item = rpc.AppendEdited(nil, item, rpc.Edit{At: name, With: rpc.Quote(outer)})
			case method != listTasks && d.anothers(who, method, own, p.server, parts[:i]):
				return nil
			}
			if len(out) > empty {
				out = append(out, ',')
			}
			out = append(out, item...)
			return nil
		})
		if next := rpc.Text(rpc.Member(p.result, "nextCursor")); next != "" {
			more[p.server.Name] = next
		}
	}
	out = append(out, ']')
	if len(more) > 0 {
		out = append(append(out, `,"nextCursor":`...), rpc.Quote(writeCursor(more))...)
	}
	return append(out, '}')
}

// anothers reports whether a server before this one lists the same.
func (d *Door) anothers(who *contract.Identity, method, own string, s *Server, before []part) bool {
	for _, p := range before {
		if has, _ := d.memory.has(key(p.server, who), method, own); has {
			if d.once(method + "\x00" + s.Name + "\x00" + own) {
				d.Log.Warn().Str("uri", rpc.Clip(own, 256)).Str("of", p.server.Name).Str("not_of", s.Name).
					Msg("two servers list the same; it is the first one's")
			}
			return true
		}
	}
	return false
}

// A cursor holds those of the servers that have more, by name: nothing has to
// be kept for it, and one that is forged asks a server for no more than its
// caller may.

func writeCursor(more map[string]string) string {
	raw, _ := json.Marshal(more) // strings only
	return base64.RawURLEncoding.EncodeToString(raw)
}

func readCursor(m *rpc.Message) (map[string]string, error) {
	raw, err := m.Param("cursor")
	if err != nil {
		return nil, rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: %v", err)
	}
	if raw == nil || string(raw) == "null" {
		return nil, nil //nolint:nilnil // the first page
	}
	var from map[string]string
	text, err := base64.RawURLEncoding.DecodeString(rpc.Text(raw))
	if err != nil || json.Unmarshal(text, &from) != nil || from == nil {
		return nil, rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: cursor %q is not one of this server",
			rpc.Clip(string(raw), 64))
	}
	return from, nil
}
