package rpc

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

// Plain reports whether any child gives this id or token back as the same
// bytes: a small integer, or a string with nothing that an encoder could write
// in another way. Others are replaced before a child sees them.
func Plain(raw []byte) bool {
	switch {
	case len(raw) == 0:
		return false
	case raw[0] == '"':
		return plainString(raw)
	case len(raw) > 15: // past 2^53 a float loses digits
		return false
	case raw[0] == '0':
		return len(raw) == 1
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func plainString(raw []byte) bool {
	if len(raw) > 128 {
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		plain := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.' || c == ':'
		if !plain {
			return false
		}
	}
	return true
}
