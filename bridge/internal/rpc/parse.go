package rpc

import (
	"bytes"
	"fmt"
	"strings"
)

// ParseClient reads one message that came from outside. It changes line breaks
// between tokens into spaces in place, for a message to a child is one line.
func ParseClient(body []byte) (Message, error) {
	OneLine(body)
	body = bytes.Trim(Unmarked(body), " \t\r\n")
	m, err := Parse(body)
	if err == ErrBatch && !Valid(body) { //nolint:errorlint // Parse returns this very value
		return m, ErrJSON
	}
	return m, err
}

// Unmarked is b without the byte order mark that some programs write in front
// of a text (RFC 8259, section 8.1, lets a reader ignore it).
func Unmarked(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }

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

// Parse reads one message, all of which must be JSON. It notes where the
// members stand that the bridge must know, and decodes none of them. The
// message keeps line.
//
// Beside an error it returns the message with its id, where one could be read.
func Parse(line []byte) (Message, error) { return parse(line, true) }

// Reparse is Parse for a message that the bridge made of one that Parse took.
func Reparse(line []byte) (Message, error) { return parse(line, false) }

func parse(line []byte, strict bool) (m Message, err error) {
	line = Unmarked(line)
	m = Message{Line: line}
	defer func() {
		if id := m.ID(); err != nil && (!isID(id) || len(id) > maxID) {
			m.id = Span{}
		}
	}()
	s := scanner{b: line, strict: strict}
	s.space()
	if s.peek() == '[' {
		return m, ErrBatch
	}
	var head members
	if err := s.object(head.keys(&m)); err != nil {
		return m, s.notObject(err)
	}
	s.space()
	if s.i != len(line) {
		return m, fmt.Errorf("%w: bytes after its end", ErrJSON)
	}
	if head.dropNull(&m) {
		return parse(head.without(&m), false)
	}
	if string(m.at(head.version)) != `"2.0"` {
		return m, fmt.Errorf(`%w: "jsonrpc" is not "2.0"`, ErrMessage)
	}
	if !head.failed.None() && !m.result.None() {
		return m, fmt.Errorf("%w: both result and error", ErrMessage)
	}
	if !head.failed.None() {
		m.Failed, m.result = true, head.failed
	}
	if err := m.classify(head.method); err != nil {
		return m, err
	}
	return m, m.checkLengths(head.method)
}

// What the bridge itself compares, keeps and writes down of a message is short
// in any honest one.
const (
	maxID     = 1 << 10 // bytes of an id or a token
	maxMethod = 1 << 10
	maxName   = 64 << 10 // of a tool, a prompt or a resource
)

func (m *Message) checkLengths(method Span) error {
	if len(m.Line) <= min(maxID, maxMethod, maxName) {
		return nil
	}
	f := &m.fields
	for _, one := range [...]struct {
		what string
		at   Span
		most int
	}{
		{"the id", m.id, maxID}, {"the method", method, maxMethod}, {"params.name", f.name, maxName},
		{"params.uri", f.uri, maxName}, {"params.requestId", f.requestID, maxID},
		{"params.progressToken", f.token, maxID}, {"params._meta.progressToken", f.metaToken, maxID},
		{"the version in params._meta", f.version, maxID}, {"the subscription in params._meta", f.subscription, maxID},
	} {
		if n := one.at.End - one.at.Start; n > one.most {
			return fmt.Errorf("%w: %s has %d bytes, at most %d fit", ErrMessage, one.what, n, one.most)
		}
	}
	return nil
}

// notObject tells a value of JSON that is no object from what is not JSON.
func (s *scanner) notObject(err error) error {
	if s.i = 0; s.peek() != '{' && Valid(s.b) {
		return fmt.Errorf("%w: not an object", ErrMessage)
	}
	return err
}

// members are those of a message that are not kept in it.
type members struct{ version, method, failed Span }

func (h *members) keys(m *Message) []member {
	return []member{
		{"jsonrpc", &h.version}, {"id", &m.id}, {"method", &h.method},
		{"params", &m.params}, {"result", &m.result}, {"error", &h.failed},
	}
}

// dropNull takes out the members whose null says that they are not there: many
// programs write a message with all the members that any kind can have. A null
// result is one where nothing else is answered. It reports whether there was
// any.
func (h *members) dropNull(m *Message) (dropped bool) {
	drop := func(s *Span, where bool) {
		if where && string(m.at(*s)) == "null" {
			*s, dropped = Span{}, true
		}
	}
	drop(&h.method, true)
	drop(&h.failed, true)
	drop(&m.result, !h.method.None() || !h.failed.None())
	drop(&m.id, strings.HasPrefix(string(m.at(h.method)), `"notifications/`))
	return dropped
}

// without is the message without what was dropped.
func (h *members) without(m *Message) []byte {
	out := append(make([]byte, 0, len(m.Line)), `{"jsonrpc":`...)
	out = append(out, m.at(h.version)...)
	for _, one := range []struct {
		name string
		at   Span
	}{{"id", m.id}, {"method", h.method}, {"params", m.params}, {"result", m.result}, {"error", h.failed}} {
		if !one.at.None() {
			out = append(append(out, `,"`+one.name+`":`...), m.at(one.at)...)
		}
	}
	return append(out, '}')
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
	if method.End-method.Start <= maxMethod {
		m.Method = methodName(m.at(method))
	}
	return m.scanParams()
}

// scanParams finds the members of params by which a message is routed.
func (m *Message) scanParams() error {
	raw := m.Params()
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var meta Span
	f := &m.fields
	s := scanner{b: m.Line[:m.params.End], i: m.params.Start, within: "_meta", inside: []member{
		{"progressToken", &f.metaToken}, {MetaVersion, &f.version}, {MetaSubscription, &f.subscription},
	}}
	return s.object([]member{
		{"progressToken", &f.token}, {"requestId", &f.requestID}, {"name", &f.name}, {"uri", &f.uri}, {"_meta", &meta},
	})
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

// Named is the raw id of the call that a line would have answered, were it a
// message; nil where none can be told. Whatever is wrong with the line, who
// waits for it need not wait for the time of the call.
func Named(line []byte) []byte {
	line = Unmarked(line)
	var id, method, result, failed Span
	s := scanner{b: line}
	_ = s.object([]member{{"id", &id}, {"method", &method}, {"result", &result}, {"error", &failed}}) // up to a fault
	m := Message{Line: line}
	asks := !method.None() && string(m.at(method)) != "null"
	if asks || !isID(m.at(id)) || id.End-id.Start > maxID {
		return nil
	}
	return m.at(id)
}
