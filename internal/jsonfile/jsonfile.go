// Package jsonfile reads JSON that people write by hand. It promises that
// nothing they wrote is lost in silence: a key that nobody knows, one that is
// given twice, and text after the end are faults, and each fault names its place.
//
// It must never know what a file is for.
package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

const byteOrderMark = "\uFEFF"

// Text is what an editor saved, without the mark that some put in front.
func Text(raw []byte) []byte { return bytes.TrimPrefix(raw, []byte(byteOrderMark)) }

// Decode reads the whole text into a value whose fields are all the keys there are.
func Decode(raw []byte, into any) error {
	text := Text(raw)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return Explain(text, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: something follows the end of it", place(text, dec.InputOffset()))
	}
	return twice(text)
}

// Explain says what is wrong with a text so that whoever wrote it finds the
// place: its line, or the key and what belongs there. Other errors stay as they are.
func Explain(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: it ends too early: %w", place(text, int64(len(text))), err)
	case errors.As(err, &syntax):
		before := text[:min(max(int(syntax.Offset)-1, 0), len(text))]
		return fmt.Errorf("%s: %w%s", place(text, int64(len(before))), err, hint(before, text[len(before):]))
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("want %s, not %s", nameOf(kind.Type), kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("%s: want %s, not %s", kind.Field, nameOf(kind.Type), kind.Value)
	}
	return err
}

// place is where the byte at an offset stands.
func place(text []byte, offset int64) string {
	before := text[:min(int(offset), len(text))]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1,
		len(before)-bytes.LastIndexByte(before, '\n'))
}

// hint is for what people write most who know JSON from elsewhere.
func hint(before, after []byte) string {
	before = bytes.TrimRight(before, " \t\r\n")
	switch {
	case bytes.HasPrefix(after, []byte("/")), bytes.HasPrefix(after, []byte("#")):
		return "; JSON has no comments, take it out"
	case bytes.HasSuffix(before, []byte(",")) && len(after) > 0 && (after[0] == '}' || after[0] == ']'):
		return "; take out the comma before it"
	}
	return ""
}

func nameOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	case reflect.Int, reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "an object"
}

// twice finds a key that an object has more than once, in any case of letters:
// encoding/json would take the last.
func twice(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // the keys of each object around, nil for a list
	for key := false; ; {
		token, err := dec.Token()
		if err != nil {
			return nil //nolint:nilerr // the end: Decode has read all of it
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open, key = append(open, map[string]bool{}), true
				continue
			case '[':
				open, key = append(open, nil), false
				continue
			}
			open = open[:len(open)-1]
		case string:
			if key {
				seen, folded := open[len(open)-1], strings.ToLower(token)
				if seen[folded] {
					return fmt.Errorf("%s: %q is given twice; keep one", place(text, dec.InputOffset()), token)
				}
				seen[folded], key = true, false
				continue
			}
		}
		key = len(open) > 0 && open[len(open)-1] != nil // after a value
	}
}
