package rpc

import "bytes"

// Trace is the trace context in a request's params._meta (2026-07-28, basic,
// "OpenTelemetry trace context"), and where it stands or would stand.
type Trace struct {
	Parent, State string // as they came: not checked

	parent Span   // of the value that Parent was read from
	stated bool   // there is a tracestate, if not a good one
	insert int    // where it goes otherwise
	before string // what opens the objects that are missing there
	after  string // what closes them, or the comma before the next member
}

// Trace reads the context; false where the message has no place for one.
func (m *Message) Trace() (Trace, bool) {
	if m.params.None() {
		end := bytes.LastIndexByte(m.Line, '}')
		return Trace{insert: end, before: `,"params":{"_meta":{`, after: "}}"}, m.Kind == Request && end > 0
	}
	var meta Span
	if m.object(m.params, member{"_meta", &meta}) != nil {
		return Trace{}, false
	}
	if meta.None() {
		return Trace{insert: m.params.Start + 1, before: `"_meta":{`, after: "}" + m.comma(m.params)}, true
	}
	var parent, state Span
	if m.object(meta, member{"traceparent", &parent}, member{"tracestate", &state}) != nil {
		return Trace{}, false
	}
	return Trace{
		Parent: Text(m.at(parent)), State: Text(m.at(state)),
		parent: parent, stated: !state.None(), insert: meta.Start + 1, after: m.comma(meta),
	}, true
}

// With is the edit that says another parent. A state that came with the old
// one stays: it belongs to the trace (W3C Trace Context, 3.5).
func (t Trace) With(parent, state string) Edit {
	if !t.parent.None() {
		return Edit{At: t.parent, With: Quote(parent)}
	}
	text := append([]byte(t.before+`"traceparent":`), Quote(parent)...)
	if state != "" && !t.stated {
		text = append(append(text, `,"tracestate":`...), Quote(state)...)
	}
	return Edit{At: Span{t.insert, t.insert}, With: append(text, t.after...)}
}

func (m *Message) object(at Span, keys ...member) error {
	s := scanner{b: m.Line[:at.End], i: at.Start}
	return s.object(keys)
}

// comma is what follows a member that becomes an object's first.
func (m *Message) comma(object Span) string {
	s := scanner{b: m.Line[:object.End], i: object.Start + 1}
	if s.space(); s.peek() == '}' {
		return ""
	}
	return ","
}
