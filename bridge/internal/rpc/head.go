package rpc

import (
	"bytes"
	"errors"
	"fmt"
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
	version   Span // _meta[MetaVersion]

	subscription Span // _meta[MetaSubscription]
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

// Subscription is the raw id in _meta of the subscription that a notification
// belongs to (2026-07-28), nil where there is none.
func (m *Message) Subscription() []byte { return m.at(m.fields.subscription) }

// Name is params.name, decoded; "" where it is missing or not a string.
func (m *Message) Name() string { return Text(m.at(m.fields.name)) }

// NameSpan is where params.name stands.
func (m *Message) NameSpan() Span { return m.fields.name }

// URI is params.uri, decoded; "" where it is missing or not a string.
func (m *Message) URI() string { return Text(m.at(m.fields.uri)) }

// Param is the raw value of a member of params, nil where there is none. A name
// that is there twice, in other case or with escapes is an error.
func (m *Message) Param(name string) ([]byte, error) {
	if raw := m.Params(); len(raw) == 0 || raw[0] != '{' {
		return nil, nil
	}
	var at Span
	if err := m.object(m.params, member{name, &at}); err != nil {
		return nil, err
	}
	return m.at(at), nil
}

// Version is the protocol version in params._meta (2026-07-28 and later).
func (m *Message) Version() string { return Text(m.at(m.fields.version)) }

// Forget lets go of a long line, whose caller needs no more of it than the id.
func (m *Message) Forget() {
	if len(m.Line) <= forgettable {
		return
	}
	id := bytes.Clone(m.ID())
	*m = Message{Line: id, Kind: m.Kind, Method: m.Method, id: Span{0, len(id)}}
}

const forgettable = 64 << 10 // bytes of a line that is not worth a copy of its id

// Own is part of a message, copied where the line is so long that it must not be
// held for the part's sake.
func (m *Message) Own(part []byte) []byte {
	if len(m.Line) <= forgettable {
		return part
	}
	return bytes.Clone(part)
}

func (m *Message) at(s Span) []byte {
	if s.None() {
		return nil
	}
	return m.Line[s.Start:s.End]
}

// Text decodes a raw JSON string; "" for anything else.
func Text(raw []byte) string {
	s, _ := Unquote(raw)
	return s
}
