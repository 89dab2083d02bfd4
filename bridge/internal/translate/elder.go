package translate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"gatehouse/bridge/internal/rpc"
)

// Elder stands between one client of an older version and its child. It passes
// everything until the child refuses initialize; where the child then answers
// server/discover, it speaks 2026-07-28 to the child and the older version to
// the client. It keeps what the older version calls a session: the client's
// name and capabilities, the log level, subscriptions, and the questions that
// wait for an answer. It is safe for concurrent use.
type Elder struct {
	pass atomic.Bool // the child is older: nothing to do any more

	mu       sync.Mutex
	active   bool
	initID   json.RawMessage
	version  string
	refusal  json.RawMessage // the child's own answer to initialize
	info     json.RawMessage
	can      json.RawMessage
	level    string
	server   Server
	next     int
	calls    map[string]*elderCall // by the id that the child knows
	asks     map[string]elderAsk   // by the id that the client knows
	listenID json.RawMessage
	uris     []string // all are told anew each time: see ReadFilter for the bounds
	uriBytes int
}

// lines are messages to send on: to the child, and to the client.
type lines struct{ down, up [][]byte }

type elderCall struct {
	id      json.RawMessage // the client's
	sent    json.RawMessage // the one that the child knows
	message Object
	state   json.RawMessage // requestState of the child, or nil
	missing int
	answers []Edit
}

type elderAsk struct {
	call *elderCall
	key  string
}

// NewElder is for one child.
func NewElder() *Elder {
	return &Elder{calls: map[string]*elderCall{}, asks: map[string]elderAsk{}}
}

// Passes reports that every line may go as it is from now on.
func (e *Elder) Passes() bool { return e.pass.Load() }

func down(messages ...[]byte) lines { return lines{down: messages} }
func up(messages ...[]byte) lines   { return lines{up: messages} }

// FromClient takes one line that the client sent.
func (e *Elder) FromClient(line []byte) (down, up [][]byte) {
	lines := e.fromClient(line)
	return lines.down, lines.up
}

func (e *Elder) fromClient(line []byte) lines {
	m, err := Parse(line)
	if err != nil {
		return down(line)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	method, _ := m.Text("method")
	if !e.active {
		if method == "initialize" {
			e.remember(m)
		}
		return down(line)
	}
	switch {
	case method == "":
		return e.answered(m)
	case !m.Has("id"):
		return e.notified(method, m)
	}
	return e.requested(method, m)
}

func (e *Elder) remember(m Object) {
	params, err := m.Object("params")
	if err != nil {
		return
	}
	e.initID = slices.Clone(m.Get("id"))
	e.info, e.can = rpc.Brief(params.Raw())
	e.version, _ = params.Text("protocolVersion")
	if e.version == rpc.Version20260728 || !slices.Contains(rpc.Versions(), e.version) {
		e.version = rpc.Version20251125
	}
}

func (e *Elder) requested(method string, m Object) lines {
	id := m.Get("id")
	params, err := m.Object("params")
	if err != nil {
		return up(rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: %v", err).Body(id))
	}
	switch method {
	case "ping":
		return up(Result(id, json.RawMessage("{}")))
	case "logging/setLevel":
		if level, _ := params.Text("level"); rpc.LogLevel(level) {
			e.level = level
			return up(Result(id, json.RawMessage("{}")))
		}
		return up(rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: level").Body(id))
	case "resources/subscribe", "resources/unsubscribe":
		uri, _ := params.Text("uri")
		if bad := e.subscribe(uri, method == "resources/subscribe"); bad != nil {
			return up(bad.Body(id))
		}
		return lines{down: e.listen(), up: [][]byte{Result(id, json.RawMessage("{}"))}}
	case "initialize":
		return up(rpc.Errorf(rpc.CodeInvalidRequest, "Invalid request: initialized already").Body(id))
	}
	call := &elderCall{id: slices.Clone(id), sent: slices.Clone(id), message: m}
	e.calls[rpc.Key(id)] = call
	return down(e.dressed(m, id))
}

// subscribe takes the resource out of the subscriptions, and puts it in again
// where it is wanted.
func (e *Elder) subscribe(uri string, wanted bool) *rpc.Error {
	if i := slices.Index(e.uris, uri); i >= 0 {
		e.uris = slices.Delete(e.uris, i, i+1)
		e.uriBytes -= len(uri)
	}
	if !wanted {
		return nil
	}
	if len(e.uris) >= MaxSubscriptions || e.uriBytes+len(uri) > MaxURIs {
		return rpc.Errorf(rpc.CodeInvalidRequest,
			"Invalid request: %d resources are subscribed to; a session may have %d, with %d bytes of names",
			len(e.uris), MaxSubscriptions, MaxURIs)
	}
	e.uris, e.uriBytes = append(e.uris, uri), e.uriBytes+len(uri)
	return nil
}

// dressed gives a request the _meta that 2026-07-28 wants of each.
func (e *Elder) dressed(m Object, id json.RawMessage, edits ...Edit) []byte {
	params, _ := m.Object("params") // checked when the request came
	meta, err := params.Object("_meta")
	if err != nil {
		meta = empty()
	}
	can := e.can
	if can == nil {
		can = json.RawMessage("{}")
	}
	keys := []Edit{
		{rpc.MetaVersion, quote(rpc.Version20260728)}, {rpc.MetaClientInfo, e.info}, {rpc.MetaCapabilities, can},
	}
	if e.level != "" {
		keys = append(keys, Edit{rpc.MetaLogLevel, quote(e.level)})
	}
	edits = append(edits, Edit{"_meta", meta.With(keys...)})
	return m.With(Edit{"id", id}, Edit{"params", params.With(edits...)})
}

func (e *Elder) notified(method string, m Object) lines {
	switch method {
	case "notifications/initialized":
		return lines{down: e.listen()}
	case rpc.Cancelled:
		params, err := m.Object("params")
		if err != nil {
			return lines{}
		}
		return e.cancelled(m, params)
	}
	return lines{} // 2026-07-28 has no other notification from a client
}

// cancelled forgets the call: what the child says of it later goes nowhere, and
// what the client was asked for it is asked no more.
func (e *Elder) cancelled(m, params Object) lines {
	of := rpc.Key(params.Get("requestId"))
	for id, ask := range e.asks {
		if rpc.Key(ask.call.id) == of {
			delete(e.asks, id)
		}
	}
	for id, call := range e.calls {
		if rpc.Key(call.id) == of {
			delete(e.calls, id)
			return down(m.With(Edit{"params", params.With(Edit{"requestId", call.sent})}))
		}
	}
	return lines{}
}

// listen opens the one subscription anew, with all that the client may hear
// in a session of the older version.
func (e *Elder) listen() [][]byte {
	var out [][]byte
	if e.listenID != nil {
		out = append(out, Message(nil, rpc.Cancelled, empty().With(Edit{"requestId", e.listenID})))
	}
	want, _ := json.Marshal(Filter{Tools: true, Prompts: true, Resources: true, URIs: e.uris}) // plain
	e.listenID = e.fresh()
	m, _ := Parse(Message(e.listenID, rpc.Listen, empty().With(Edit{"notifications", want}))) // our own
	return append(out, e.dressed(m, e.listenID))
}

func (e *Elder) fresh() json.RawMessage {
	e.next++
	return quote(fmt.Sprintf("gh-elder-%d", e.next))
}

// answered takes the client's answer to a question; with the last one the call
// goes down again with all of them.
func (e *Elder) answered(m Object) lines {
	key := rpc.Key(m.Get("id"))
	ask, ok := e.asks[key]
	if !ok {
		return lines{}
	}
	delete(e.asks, key)
	call := ask.call
	if result := m.Get("result"); result != nil {
		call.answers = append(call.answers, Edit{ask.key, slices.Clone(result)})
	}
	if call.missing--; call.missing > 0 {
		return lines{}
	}
	if len(call.answers) == 0 { // the client refused every question
		return up(rpc.Errorf(rpc.CodeInternal, "Internal error: the client gave no input").Body(call.id))
	}
	return down(e.again(call))
}

func (e *Elder) again(call *elderCall) []byte {
	id := e.fresh() // a retry is a request of its own (mrtr, "Client Requirements")
	call.sent = id
	e.calls[rpc.Key(id)] = call
	edits := []Edit{{"inputResponses", empty().With(call.answers...)}, {"requestState", call.state}}
	return e.dressed(call.message, id, edits...)
}

// FromChild takes one line that the child wrote.
func (e *Elder) FromChild(line []byte) (down, up [][]byte) {
	lines := e.fromChild(line)
	return lines.down, lines.up
}

func (e *Elder) fromChild(line []byte) lines {
	e.mu.Lock()
	defer e.mu.Unlock()
	read, err := rpc.Parse(line)
	if err != nil {
		return up(e.unusable(line))
	}
	line = read.Line
	m, err := Parse(line)
	if err != nil {
		return up(line)
	}
	if !e.active {
		return e.opening(line, m)
	}
	if method, _ := m.Text("method"); method == rpc.Acknowledged {
		return lines{}
	} else if method != "" {
		return up(line)
	}
	id := rpc.Key(m.Get("id"))
	call, ok := e.calls[id]
	if !ok {
		return lines{} // the end of a subscription, or nothing that anybody asked
	}
	delete(e.calls, id)
	result, err := m.Object("result")
	if kind, _ := result.Text("resultType"); err == nil && kind == "input_required" {
		return e.questions(call, result)
	}
	return up(m.With(Edit{"id", call.id}))
}

// unusable is a line that is no message, under the id by which its call is
// known above: whoever reads it next ends the call.
func (e *Elder) unusable(line []byte) []byte {
	call, ok := e.calls[rpc.Key(rpc.Named(line))]
	if !ok {
		return line
	}
	delete(e.calls, rpc.Key(call.sent))
	return rpc.Errorf(rpc.CodeInternal, "Internal error: the server's answer cannot be read").Body(call.id)
}

// opening follows the answer to initialize.
func (e *Elder) opening(line []byte, m Object) lines {
	if e.initID == nil || m.Has("method") {
		return up(line)
	}
	id := rpc.Key(m.Get("id"))
	switch {
	case e.refusal == nil && id == rpc.Key(e.initID) && m.Has("error"):
		e.refusal = slices.Clone(line)
		e.listenID = e.fresh()
		probe, _ := Parse(Message(e.listenID, rpc.Discover, json.RawMessage("{}"))) // our own
		return down(e.dressed(probe, e.listenID))
	case e.refusal == nil && id == rpc.Key(e.initID):
		e.pass.Store(true)
	case e.refusal != nil && id == rpc.Key(e.listenID):
		return e.discovered(m)
	}
	return up(line)
}

func (e *Elder) discovered(m Object) lines {
	server, err := FromDiscover(m.Get("result"))
	if err != nil {
		e.pass.Store(true)
		return up(e.refusal) // a child of no era that we know: its own words
	}
	e.active, e.server, e.listenID = true, server, nil
	info := server.Info
	if info == nil {
		info = json.RawMessage(`{"name":"unknown","version":"0"}`)
	}
	can := server.Capabilities
	if can == nil {
		can = json.RawMessage("{}")
	}
	return up(Result(e.initID, empty().With(
		Edit{"protocolVersion", quote(e.version)}, Edit{"capabilities", can},
		Edit{"serverInfo", info}, Edit{"instructions", server.Instructions})))
}

// questions asks the client what the child wants to know, each as a request.
func (e *Elder) questions(call *elderCall, result Object) lines {
	call.state, call.answers = slices.Clone(result.Get("requestState")), nil
	requests, err := result.Object("inputRequests")
	if err != nil || requests.Len() == 0 {
		return down(e.again(call))
	}
	var asked [][]byte
	asks := map[string]elderAsk{}
	err = requests.Each(func(key string, raw json.RawMessage) error {
		request, err := Parse(raw)
		method, known := request.Text("method")
		if err != nil || !known {
			return ErrObject
		}
		id := e.fresh()
		asks[rpc.Key(id)] = elderAsk{call, key}
		asked = append(asked, Message(id, method, request.Get("params")))
		return nil
	})
	if err != nil {
		return up(rpc.Errorf(rpc.CodeInternal, "Internal error: the server's input request cannot be read").Body(call.id))
	}
	call.missing = len(asks)
	maps.Copy(e.asks, asks)
	return lines{up: asked}
}
