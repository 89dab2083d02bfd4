package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Kind tells what a message is.
type Kind uint8

// The kinds of JSON-RPC 2.0 messages.
const (
	Request Kind = iota + 1
	Notification
	Response
)

// ErrMessage says that bytes are not one JSON-RPC message that everybody
// reads alike.
var ErrMessage = errors.New("not a JSON-RPC message")

// ErrJSON says that bytes are not JSON at all.
var ErrJSON = fmt.Errorf("%w: not valid JSON", ErrMessage)

// ErrBatch says that the bytes hold an array: see Split.
var ErrBatch = fmt.Errorf("%w: a batch", ErrMessage)

// Span is a place in a message. The zero Span is no place.
type Span struct{ Start, End int }

// None reports whether the span is no place.
func (s Span) None() bool { return s.End == 0 }

// Message is one line and what the bridge must know of it.
type Message struct {
	Line   []byte
	Kind   Kind
	Failed bool   // a response with an error
	Method string // "" for a response
	id     Span
	params Span
	result Span
	fields paramFields
}

// paramFields are the members of params that decide where a message goes.
type paramFields struct {
	token     Span // progressToken of a progress notification
	requestID Span // requestId of a cancelled notification
	name      Span // of a tool or a prompt
	uri       Span // of a resource
	metaToken Span // _meta.progressToken of a request
	version   Span // _meta["io.modelcontextprotocol/protocolVersion"]
}

// ID is the raw id, nil for a notification.
func (m *Message) ID() []byte { return m.at(m.id) }

// Params is the raw params, nil where there are none.
func (m *Message) Params() []byte { return m.at(m.params) }

// Result is the raw result or error of a response.
func (m *Message) Result() []byte { return m.at(m.result) }

// IDSpan is where the id stands.
func (m *Message) IDSpan() Span { return m.id }

// ResultSpan is where the result or the error stands.
func (m *Message) ResultSpan() Span { return m.result }

// TokenSpan is where the progress token stands: that of a notification, or
// the one that a request asks progress with.
func (m *Message) TokenSpan() Span {
	if m.Kind == Request {
		return m.fields.metaToken
	}
	return m.fields.token
}

// Token is the raw progress token, nil where there is none.
func (m *Message) Token() []byte { return m.at(m.TokenSpan()) }

// CancelSpan is where notifications/cancelled names the request.
func (m *Message) CancelSpan() Span { return m.fields.requestID }

// Cancels is the raw id of the request that notifications/cancelled names.
func (m *Message) Cancels() []byte { return m.at(m.fields.requestID) }

const subscriptionKey = "io.modelcontextprotocol/subscriptionId"

// Subscription is the raw id in _meta of the subscription that a notification
// belongs to (2026-07-28), nil where there is none.
func (m *Message) Subscription() []byte {
	if m.Kind != Notification || !bytes.Contains(m.Params(), []byte(subscriptionKey)) {
		return nil
	}
	var params struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	if json.Unmarshal(m.Params(), &params) != nil {
		return nil
	}
	return params.Meta[subscriptionKey]
}

// Name is params.name, decoded; "" where it is missing or not a string.
func (m *Message) Name() string { return Text(m.at(m.fields.name)) }

// URI is params.uri, decoded; "" where it is missing or not a string.
func (m *Message) URI() string { return Text(m.at(m.fields.uri)) }

// Version is the protocol version in params._meta (2026-07-28 and later).
func (m *Message) Version() string { return Text(m.at(m.fields.version)) }

func (m *Message) at(s Span) []byte {
	if s.None() {
		return nil
	}
	return m.Line[s.Start:s.End]
}

// Text decodes a raw JSON string; "" for anything else.
func Text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// ParseClient reads one message that came from outside: all of it must be
// valid JSON. It changes line breaks between tokens into spaces in place, for
// a message to a child is one line.
func ParseClient(body []byte) (Message, error) {
	if !json.Valid(body) {
		return Message{}, ErrJSON
	}
	OneLine(body)
	return Parse(bytes.TrimSpace(body))
}

// OneLine changes CR and LF into spaces. In valid JSON they stand between
// tokens only (RFC 8259 section 7), and CR would end a line of an SSE stream.
func OneLine(b []byte) {
	for _, c := range [...]byte{'\n', '\r'} {
		for i := bytes.IndexByte(b, c); i >= 0; {
			b[i] = ' '
			next := bytes.IndexByte(b[i:], c)
			if next < 0 {
				break
			}
			i += next
		}
	}
}

// Parse reads the head of one message. The bytes of params and result are
// skipped, not decoded; the message keeps line.
func Parse(line []byte) (Message, error) {
	m := Message{Line: line}
	s := scanner{b: line}
	s.space()
	if s.peek() == '[' {
		return m, ErrBatch
	}
	var method, version Span
	failed := Span{}
	keys := []member{
		{"jsonrpc", &version}, {"id", &m.id}, {"method", &method},
		{"params", &m.params}, {"result", &m.result}, {"error", &failed},
	}
	if err := s.object(keys); err != nil {
		return m, err
	}
	s.space()
	if s.i != len(line) {
		return m, fmt.Errorf("%w: bytes after its end", ErrMessage)
	}
	if string(m.at(version)) != `"2.0"` {
		return m, fmt.Errorf(`%w: "jsonrpc" is not "2.0"`, ErrMessage)
	}
	if !failed.None() && !m.result.None() {
		return m, fmt.Errorf("%w: both result and error", ErrMessage)
	}
	if !failed.None() {
		m.Failed, m.result = true, failed
	}
	return m, m.classify(method)
}

func (m *Message) classify(method Span) error {
	switch id := m.ID(); {
	case !method.None() && !m.result.None():
		return fmt.Errorf("%w: both method and result", ErrMessage)
	case !method.None() && m.id.None():
		m.Kind = Notification
	case !method.None():
		m.Kind = Request
		if !isID(id) {
			return fmt.Errorf("%w: id is neither a string nor a number", ErrMessage)
		}
	case m.result.None() || m.id.None():
		return fmt.Errorf("%w: neither a method nor an id with a result", ErrMessage)
	default:
		m.Kind = Response
		if !isID(id) && string(id) != "null" {
			return fmt.Errorf("%w: id is neither a string nor a number", ErrMessage)
		}
		return nil
	}
	if m.at(method)[0] != '"' {
		return fmt.Errorf("%w: method is not a string", ErrMessage)
	}
	m.Method = methodName(m.at(method))
	return m.scanParams()
}

// scanParams finds the members of params by which a message is routed.
func (m *Message) scanParams() error {
	raw := m.Params()
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var meta Span
	s := scanner{b: m.Line[:m.params.End], i: m.params.Start}
	f := &m.fields
	keys := []member{{"progressToken", &f.token}, {"requestId", &f.requestID}, {"name", &f.name}, {"uri", &f.uri}, {"_meta", &meta}}
	if err := s.object(keys); err != nil {
		return err
	}
	if meta.None() || m.Line[meta.Start] != '{' {
		return nil
	}
	s = scanner{b: m.Line[:meta.End], i: meta.Start}
	return s.object([]member{{"progressToken", &f.metaToken}, {"io.modelcontextprotocol/protocolVersion", &f.version}})
}

func isID(raw []byte) bool {
	if len(raw) == 0 {
		return false
	}
	c := raw[0]
	return c == '"' || c == '-' || c >= '0' && c <= '9'
}

// methodName decodes a method; the frequent ones cost no allocation.
func methodName(raw []byte) string {
	switch string(raw) {
	case `"tools/call"`:
		return "tools/call"
	case `"tools/list"`:
		return "tools/list"
	case `"ping"`:
		return "ping"
	case `"notifications/progress"`:
		return "notifications/progress"
	case `"notifications/message"`:
		return "notifications/message"
	}
	return Text(raw)
}

// member is a key that an object is searched for, and where to note its value.
type member struct {
	key   string
	value *Span
}

// find notes the value of a key. A key that differs only in case, or that is
// escaped, is refused: Go's own decoder, for one, would take it for the same.
func find(keys []member, raw []byte, value Span) error {
	if bytes.IndexByte(raw, '\\') >= 0 {
		text := Text(append(append([]byte{'"'}, raw...), '"'))
		for _, k := range keys {
			if strings.EqualFold(k.key, text) {
				return fmt.Errorf("%w: the key %q is written with escapes", ErrMessage, k.key)
			}
		}
		return nil
	}
	for _, k := range keys {
		if string(raw) == k.key {
			if !k.value.None() {
				return fmt.Errorf("%w: the key %q is there twice", ErrMessage, k.key)
			}
			*k.value = value
			return nil
		}
	}
	for _, k := range keys {
		if len(raw) == len(k.key) && strings.EqualFold(string(raw), k.key) {
			return fmt.Errorf("%w: the key %q is written in other case", ErrMessage, k.key)
		}
	}
	return nil
}
