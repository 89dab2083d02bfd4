package rpc

// Reader goes over one value of JSON from its beginning to its end, each byte
// once, however deep its values lie in each other. The text must be valid.
type Reader struct{ s scanner }

// NewReader reads raw.
func NewReader(raw []byte) *Reader { return &Reader{scanner{b: raw}} }

// Kind is the first byte of the value that comes next: '{', '[', '"', or that
// of a number or a word.
func (r *Reader) Kind() byte {
	r.s.space()
	return r.s.peek()
}

// Value goes over the next value and returns it.
func (r *Reader) Value() ([]byte, error) {
	at, err := r.s.value()
	return r.s.b[at.Start:at.End], err
}

// Object goes over the next value, an object. visit is called with each key, as
// it stands with its quotes, and must go over the value.
func (r *Reader) Object(visit func(key []byte) error) error {
	return r.s.keys(func(key Span) error { return visit(r.s.b[key.Start:key.End]) })
}

// Array goes over the next value, an array. visit must go over each item.
func (r *Reader) Array(visit func() error) error { return r.s.each(visit) }
