package translate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/bridge/internal/rpc"
)

// Server is what a child says of itself, in either era.
type Server struct {
	Info         json.RawMessage // name and version
	Capabilities json.RawMessage
	Instructions json.RawMessage // nil where it gave none
}

// FromInitialize reads an older child's answer to initialize.
func FromInitialize(result json.RawMessage) (Server, error) {
	o, err := Parse(result)
	if err != nil {
		return Server{}, fmt.Errorf("initialize result: %w", err)
	}
	return Server{Info: o.Get("serverInfo"), Capabilities: o.Get("capabilities"), Instructions: o.Get("instructions")}, nil
}

// DiscoverResult is the answer to server/discover for an older child. Nothing
// says how long it holds or for whom, so it is stale at once and private.
func (s Server) DiscoverResult() json.RawMessage {
	versions, _ := json.Marshal(rpc.Versions()) // strings always marshal
	capabilities := s.Capabilities
	if capabilities == nil {
		capabilities = json.RawMessage("{}")
	}
	result := empty().With(
		Edit{"supportedVersions", versions}, Edit{"capabilities", capabilities}, Edit{"instructions", s.Instructions})
	return ModernResult(rpc.Discover, result, s.Info)
}

// ModernResult adds what 2026-07-28 wants of every result and an older child
// does not give: resultType, serverInfo in _meta, and the caching hints.
func ModernResult(method string, result, serverInfo json.RawMessage) json.RawMessage {
	o, err := Parse(result)
	if err != nil {
		return result // not an object: nothing that could be added to
	}
	return o.With(missing(method, o, serverInfo)...)
}

// ModernResponse is Result with ModernResult, in one piece: a result may be
// long.
func ModernResponse(id json.RawMessage, method string, result, serverInfo json.RawMessage) json.RawMessage {
	o, err := Parse(result)
	if err != nil {
		return Result(id, result)
	}
	edits := missing(method, o, serverInfo)
	out := make([]byte, 0, len(responseHead)+len(id)+len(resultHead)+o.room(edits)+1)
	out = append(append(append(out, responseHead...), id...), resultHead...)
	return append(o.append(out, edits...), '}')
}

const (
	responseHead = `{"jsonrpc":"2.0","id":`
	resultHead   = `,"result":`
)

// missing is what 2026-07-28 wants of a result and this one has not.
func missing(method string, o Object, serverInfo json.RawMessage) []Edit {
	edits := addMissing(o, nil, "resultType", `"complete"`)
	kind, ok := o.Text("resultType")
	if rpc.Cacheable(method) && (!ok || kind == "complete") { // an interim result carries no hints
		edits = addMissing(o, edits, "ttlMs", "0")
		edits = addMissing(o, edits, "cacheScope", `"private"`)
	}
	if meta, err := o.Object("_meta"); err == nil && serverInfo != nil && !meta.Has(rpc.MetaServerInfo) {
		edits = append(edits, Edit{"_meta", meta.With(Edit{rpc.MetaServerInfo, serverInfo})})
	}
	return edits
}

func addMissing(o Object, edits []Edit, key, value string) []Edit {
	if o.Has(key) {
		return edits
	}
	return append(edits, Edit{key, json.RawMessage(value)})
}

// ModernError turns an older child's error into one that 2026-07-28 allows:
// -32002 is now -32602 (basic/index, "Error Codes"). JSON-RPC knows no code 0;
// a child that answers a method of neither era with it did not know the method.
// All else stays as the child wrote it.
func ModernError(method string, raw json.RawMessage) (code int, failure json.RawMessage) {
	o, err := Parse(raw)
	if err == nil {
		code, err = strconv.Atoi(string(o.Get("code")))
	}
	if message := o.Get("message"); err != nil || message != nil && message[0] != '"' {
		code = rpc.CodeInternal
		return code, empty().With(Edit{"code", json.RawMessage(strconv.Itoa(code))},
			Edit{"message", quote("Internal error: the server's error cannot be read")})
	}
	switch {
	case code == rpc.CodeNoResource:
		code = rpc.CodeInvalidParams
	case code == 0 && !knownMethod(method):
		code = rpc.CodeMethodNotFound
	case code == 0:
		code = rpc.CodeInternal
	default:
		return code, raw
	}
	return code, o.With(Edit{"code", json.RawMessage(strconv.Itoa(code))})
}

// Failure is a response with an error.
func Failure(id, failure json.RawMessage) json.RawMessage {
	return empty().With(
		Edit{"jsonrpc", json.RawMessage(`"2.0"`)}, Edit{"id", id}, Edit{"error", failure})
}

func knownMethod(method string) bool {
	return rpc.MayAskInput(method) || rpc.Cacheable(method) || method == "completion/complete" || rpc.Removed(method)
}

// InputRequired is the result that asks the client to answer the child's own
// requests, by key, and to call again with the state.
func InputRequired(requests []Edit, state string, serverInfo json.RawMessage) json.RawMessage {
	var kept json.RawMessage // none where nothing is
	if state != "" {
		kept = quote(state)
	}
	result := empty().With(
		Edit{"resultType", json.RawMessage(`"input_required"`)},
		Edit{"inputRequests", empty().With(requests...)}, Edit{"requestState", kept})
	return ModernResult("", result, serverInfo)
}

// InputRequest is a child's own request without its envelope.
func InputRequest(message Object) json.RawMessage {
	params := message.Get("params")
	if params == nil {
		params = json.RawMessage("{}")
	}
	return empty().With(Edit{"method", message.Get("method")}, Edit{"params", params})
}

// Result is a response with a result.
func Result(id, result json.RawMessage) json.RawMessage {
	return empty().With(
		Edit{"jsonrpc", json.RawMessage(`"2.0"`)}, Edit{"id", id}, Edit{"result", result})
}

// Message is a request (id not nil) or a notification.
func Message(id json.RawMessage, method string, params json.RawMessage) json.RawMessage {
	return empty().With(
		Edit{"jsonrpc", json.RawMessage(`"2.0"`)}, Edit{"id", id},
		Edit{"method", quote(method)}, Edit{"params", params})
}

// WithMeta sets one key of params._meta in a notification.
func WithMeta(message Object, key string, value json.RawMessage) json.RawMessage {
	params, err := message.Object("params")
	if err != nil {
		return message.Raw()
	}
	meta, err := params.Object("_meta")
	if err != nil {
		return message.Raw()
	}
	return message.With(Edit{"params", params.With(Edit{"_meta", meta.With(Edit{key, value})})})
}

// Filter is what a client of subscriptions/listen asked to hear.
type Filter struct {
	Tools     bool     `json:"toolsListChanged,omitempty"`
	Prompts   bool     `json:"promptsListChanged,omitempty"`
	Resources bool     `json:"resourcesListChanged,omitempty"`
	URIs      []string `json:"resourceSubscriptions,omitempty"`
}

// MaxSubscriptions bounds the resources of one subscription, and MaxURIs the
// bytes of their names.
const (
	MaxSubscriptions = 1024
	MaxURIs          = 128 << 10
)

// ReadFilter reads the filter of a listen request, and takes out what the
// child does not announce.
func ReadFilter(r *Request, s Server) (f Filter, bad *rpc.Error) {
	refuse := func(format string, args ...any) (Filter, *rpc.Error) {
		return f, rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: notifications"+format, args...)
	}
	o, err := r.Params.Object("notifications")
	if err != nil || !r.Params.Has("notifications") {
		return refuse(" is missing or not a filter")
	}
	for _, want := range []struct {
		key, kind string
		flag      *bool
	}{
		{"toolsListChanged", "tools", &f.Tools}, {"promptsListChanged", "prompts", &f.Prompts},
		{"resourcesListChanged", "resources", &f.Resources},
	} {
		switch asked := o.Get(want.key); string(asked) {
		case "true":
			*want.flag = s.announces(want.kind, "listChanged")
		case "", "false", "null":
		default:
			return refuse(".%s is neither true nor false", want.key)
		}
	}
	if f.URIs, err = readURIs(o.Get("resourceSubscriptions")); err != nil {
		return refuse(".resourceSubscriptions: %v", err)
	}
	if !s.announces("resources", "subscribe") {
		f.URIs = nil
	}
	return f, nil
}

// announces reports whether the child says of a kind of item that it can.
func (s Server) announces(kind, what string) bool {
	return string(rpc.Member(rpc.Member(s.Capabilities, kind), what)) == "true"
}

func readURIs(raw json.RawMessage) (uris []string, err error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	bytes := 0
	err = rpc.EachItem(raw, func(at rpc.Span) error {
		uri, ok := rpc.Unquote(raw[at.Start:at.End])
		bytes += len(uri)
		switch {
		case !ok:
			return errors.New("one is not a string")
		case len(uris) == MaxSubscriptions:
			return fmt.Errorf("there are more than %d, the most that one request may have", MaxSubscriptions)
		case bytes > MaxURIs:
			return fmt.Errorf("they have more than %d bytes, the most that one request may have", MaxURIs)
		}
		uris = append(uris, uri)
		return nil
	})
	return uris, err
}

// Wants reports whether the notification passes the filter.
func (f Filter) Wants(message Object) bool {
	method, _ := message.Text("method")
	switch strings.TrimPrefix(method, "notifications/") {
	case "tools/list_changed":
		return f.Tools
	case "prompts/list_changed":
		return f.Prompts
	case "resources/list_changed":
		return f.Resources
	case "resources/updated":
		params, err := message.Object("params")
		if err != nil {
			return false
		}
		uri, _ := params.Text("uri")
		for _, want := range f.URIs {
			if uri == want {
				return true
			}
		}
	}
	return false
}

// FromDiscover reads a modern child's answer to server/discover.
func FromDiscover(result json.RawMessage) (Server, error) {
	o, err := Parse(result)
	if err != nil {
		return Server{}, fmt.Errorf("discover result: %w", err)
	}
	s := Server{Capabilities: o.Get("capabilities"), Instructions: o.Get("instructions")}
	if meta, err := o.Object("_meta"); err == nil {
		s.Info = meta.Get(rpc.MetaServerInfo)
	}
	return s, nil
}

// empty is the object that messages of the bridge's own are built on.
func empty() Object { return Object{raw: []byte("{}")} }

// OwnRequest is a call that the bridge makes for itself; cursor may be nil.
func OwnRequest(method string, cursor json.RawMessage, modern bool) json.RawMessage {
	params := empty().With(Edit{"cursor", cursor})
	if modern {
		meta := empty().With(
			Edit{rpc.MetaVersion, quote(rpc.Version20260728)}, Edit{rpc.MetaCapabilities, json.RawMessage("{}")})
		params = empty().With(Edit{"cursor", cursor}, Edit{"_meta", meta})
	}
	return Message(json.RawMessage("1"), method, params)
}

// Subscribe asks an older child for the updates of a resource.
func Subscribe(n int, uri string) json.RawMessage {
	return Message(json.RawMessage(fmt.Sprint(n)), "resources/subscribe", empty().With(Edit{"uri", quote(uri)}))
}

// Acknowledge is the first message of a subscription.
func Acknowledge(filter json.RawMessage) Object {
	o, _ := Parse(Message(nil, rpc.Acknowledged, empty().With(Edit{"notifications", filter}))) // an object of our own
	return o
}

// ListenEnded is the result that closes a subscription gracefully.
func ListenEnded(id json.RawMessage) json.RawMessage {
	return empty().With(
		Edit{"resultType", json.RawMessage(`"complete"`)}, Edit{"_meta", empty().With(Edit{rpc.MetaSubscription, id})})
}
