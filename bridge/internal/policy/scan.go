package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var errJSON = errors.New("not the JSON that was expected")

// member is one name and value of a JSON object, as they stand in the text.
type member struct {
	name  string
	value []byte
	start int // of the value in the object's text
}

// eachMember calls visit for the members of an object in order. raw must be
// valid JSON: values are skipped, not checked.
func eachMember(raw []byte, visit func(member) error) error {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return errJSON
	}
	for i = skipSpace(raw, i+1); i < len(raw) && raw[i] == '"'; i = skipSpace(raw, i+1) {
		end := skipString(raw, i)
		name, err := unquote(raw[i:end])
		if err != nil {
			return err
		}
		start := skipSpace(raw, skipSpace(raw, end)+1) // over the colon
		end = skipValue(raw, start)
		if end > len(raw) || start >= end {
			return errJSON
		}
		if err := visit(member{name: name, value: raw[start:end], start: start}); err != nil {
			return err
		}
		if i = skipSpace(raw, end); i >= len(raw) || raw[i] != ',' {
			break
		}
	}
	return nil
}

// pick returns the members of an object that names lists, in that order; a
// missing one is nil. A name that stands there twice, or once more in other
// case, is refused: two parsers could read two different calls.
func pick(raw []byte, names ...string) ([]member, error) {
	found := make([]member, len(names))
	err := eachMember(raw, func(m member) error {
		for i, name := range names {
			if m.name != name && !strings.EqualFold(m.name, name) {
				continue
			}
			if m.name != name || found[i].value != nil {
				return fmt.Errorf("%w: %q stands there twice or in other case", errJSON, name)
			}
			found[i] = m
		}
		return nil
	})
	return found, err
}

// eachItem calls visit with the start and end of every item of an array.
func eachItem(raw []byte, visit func(start, end int)) error {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '[' {
		return errJSON
	}
	for i = skipSpace(raw, i+1); i < len(raw) && raw[i] != ']'; i = skipSpace(raw, i+1) {
		end := skipValue(raw, i)
		if end > len(raw) || end <= i {
			return errJSON
		}
		visit(i, end)
		if i = skipSpace(raw, end); i >= len(raw) || raw[i] != ',' {
			break
		}
	}
	return nil
}

// unquote decodes a JSON string and refuses anything else.
func unquote(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", errJSON
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errJSON
	}
	return s, nil
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// skipValue returns the index behind the value that begins at i.
func skipValue(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		default:
			i++
			if depth > 0 || i < len(raw) && !bytes.ContainsRune([]byte(" \t\r\n,]}"), rune(raw[i])) {
				continue
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}
