package rpc

// Renamed is the message with another params.name, as JSON has it. Nothing else
// is another, so nothing is read again.
func (m *Message) Renamed(name []byte) *Message {
	at := m.fields.name
	own := *m
	own.Line = AppendEdited(make([]byte, 0, len(m.Line)+len(name)), m.Line, Edit{At: at, With: name})
	if at.None() {
		return &own
	}
	by, f := len(name)-(at.End-at.Start), &own.fields
	for _, s := range [...]*Span{
		&own.id, &own.params, &own.result, &f.token, &f.requestID, &f.name, &f.uri, &f.metaToken, &f.version,
		&f.subscription,
	} {
		if s.Start >= at.End {
			s.Start += by
		}
		if s.End >= at.End {
			s.End += by
		}
	}
	return &own
}

// Edit replaces one place of a message.
type Edit struct {
	At   Span
	With []byte
}

// AppendEdited appends line to dst with the edits made. Edits may come in any
// order and are sorted in place; they must not overlap; one at no place is left
// out. There are three at most: an id, a token and the trace's context.
func AppendEdited(dst, line []byte, edits ...Edit) []byte {
	for i := range edits {
		for j := i; j > 0 && edits[j].At.Start < edits[j-1].At.Start; j-- {
			edits[j], edits[j-1] = edits[j-1], edits[j]
		}
	}
	from := 0
	for _, e := range edits {
		if e.At.None() {
			continue
		}
		dst = append(append(dst, line[from:e.At.Start]...), e.With...)
		from = e.At.End
	}
	return append(dst, line[from:]...)
}
