package event

import (
	"io"

	"gatehouse/bridge/internal/rpc"
)

// Event is one message for a client.
type Event struct {
	Kind   rpc.Kind
	Method string // of a request or notification
	Failed bool   // a response with an error
	Final  bool   // the response to the call whose sink it came to
	Silent bool   // the call was cancelled by its client, who wants no answer
	Lost   bool   // the child ended in place of an answer
	Unread bool   // and had read nothing of the call

	Line     []byte   // as the child sent it; it must not be changed
	Edit     rpc.Edit // an id or token given back byte for byte
	ResultAt rpc.Span // in Line, of a response as the child sent it
}

// Message makes an event of a line that the bridge wrote itself.
func Message(kind rpc.Kind, line []byte) Event { return Event{Kind: kind, Line: line} }

// Answer is a Message that is the final response to a call.
func Answer(line []byte) Event {
	return Event{Kind: rpc.Response, Failed: true, Final: true, Line: line}
}

// Result is the raw result or error of a response, nil where there is none.
func (e Event) Result() []byte {
	if !e.ResultAt.None() {
		return e.Line[e.ResultAt.Start:e.ResultAt.End]
	}
	m, err := rpc.Parse(e.Line)
	if err != nil {
		return nil
	}
	return m.Result()
}

// Size is the length of the message in bytes, edits left aside.
func (e Event) Size() int { return len(e.Line) + len(e.Edit.With) }

// Bytes is the message. It must not be changed.
func (e Event) Bytes() []byte {
	if e.Edit.At.None() {
		return e.Line
	}
	return rpc.AppendEdited(make([]byte, 0, e.Size()), e.Line, e.Edit)
}

// Len is the exact length of the message.
func (e Event) Len() int {
	if e.Edit.At.None() {
		return len(e.Line)
	}
	return len(e.Line) - (e.Edit.At.End - e.Edit.At.Start) + len(e.Edit.With)
}

// WriteTo writes the message without joining its parts.
func (e Event) WriteTo(w io.Writer) (int64, error) {
	if e.Edit.At.None() {
		n, err := w.Write(e.Line)
		return int64(n), err
	}
	var total int64
	for _, part := range [...][]byte{e.Line[:e.Edit.At.Start], e.Edit.With, e.Line[e.Edit.At.End:]} {
		n, err := w.Write(part)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Sink takes events. Push never blocks; false says that nobody reads any more.
type Sink interface {
	Push(Event) bool
}
