package policy

import (
	"fmt"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// readResource is no list, but what one caller may read another may not: no
// cache in between may share it.
const readResource = "resources/read"

// listing is where a method's result holds its items, and what names them.
type listing struct {
	kind  Kind
	field string
	name  string
}

func listingOf(method string) (listing, bool) {
	switch method {
	case "tools/list":
		return listing{Tool, "tools", "name"}, true
	case "prompts/list":
		return listing{Prompt, "prompts", "name"}, true
	case "resources/list":
		return listing{Resource, "resources", "uri"}, true
	case "resources/templates/list":
		return listing{Resource, "resourceTemplates", "uriTemplate"}, true
	}
	return listing{}, false
}

// Filters reports whether the results of a method pass through FilterResult.
func Filters(method string) bool {
	_, ok := listingOf(method)
	return ok || method == readResource
}

// FilterResult removes from the result of a list method, which must be valid
// JSON, the items that the caller may not use. All else, so also nextCursor,
// stays byte for byte; only a cacheScope becomes "private", since the list is
// now the caller's own (2026-07-28, server/utilities/caching), and so does that
// of resources/read. Where the result cannot be read it returns an empty one
// beside the error, which is safe to pass on.
func (p *Policy) FilterResult(user *contract.Identity, server, method string, result []byte) ([]byte, error) {
	if method == readResource {
		return private(result)
	}
	list, ok := listingOf(method)
	if !ok {
		return result, nil
	}
	kept, err := p.filterResult(user, server, list, result)
	if err != nil {
		return []byte(`{"` + list.field + `":[]}`), fmt.Errorf("answer to %s: %w", method, err)
	}
	return kept, nil
}

func private(result []byte) ([]byte, error) {
	found, err := pick(result, "cacheScope")
	switch {
	case err != nil:
		return []byte(`{"contents":[]}`), fmt.Errorf("answer to %s: %w", readResource, err)
	case found[0].value == nil:
		return result, nil
	}
	return splice(result, found[0], []byte(`"private"`)), nil
}

const maxListed = 4096 // names of one list; who counts them knows no more

// ListedNames calls visit with the name of each item of a list's result.
func ListedNames(method string, result []byte, visit func(Kind, string)) {
	list, ok := listingOf(method)
	if !ok {
		return
	}
	items, seen := rpc.Member(result, list.field), 0
	_ = rpc.EachItem(items, func(at rpc.Span) error { // what is no list names nothing
		if seen++; seen > maxListed {
			return errJSON
		}
		if name, ok := rpc.Unquote(rpc.Member(items[at.Start:at.End], list.name)); ok {
			visit(list.kind, name)
		}
		return nil
	})
}

func (p *Policy) filterResult(user *contract.Identity, server string, list listing, result []byte) ([]byte, error) {
	found, err := pick(result, list.field, "cacheScope")
	if err != nil {
		return nil, err
	}
	items, scope := found[0], found[1]
	replace := func(m member, with []byte) { result = splice(result, m, with) }
	var kept []byte
	if items.value != nil {
		if kept, err = p.filterItems(user, server, list, items.value); err != nil {
			return nil, err
		}
	}
	private := []byte(`"private"`)
	switch { // the later one first, so that the other's place stays right
	case items.value == nil && scope.value == nil:
	case items.value == nil:
		replace(scope, private)
	case scope.value == nil:
		replace(items, kept)
	case items.start > scope.start:
		replace(items, kept)
		replace(scope, private)
	default:
		replace(scope, private)
		replace(items, kept)
	}
	return result, nil
}

// filterItems rebuilds the array from the items that the caller may use. An
// item without a name cannot be judged and is left out.
func (p *Policy) filterItems(user *contract.Identity, server string, list listing, array []byte) ([]byte, error) {
	kept := append(make([]byte, 0, len(array)), '[')
	err := eachItem(array, func(start, end int) {
		if array[start] != '{' {
			return
		}
		found, err := pick(array[start:end], list.name)
		if err != nil {
			return
		}
		name, err := unquote(found[0].value)
		if err != nil || !p.Visible(user, server, list.kind, name) {
			return
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, array[start:end]...)
	})
	return append(kept, ']'), err
}

func splice(raw []byte, m member, with []byte) []byte {
	out := make([]byte, 0, len(raw)-len(m.value)+len(with))
	out = append(out, raw[:m.start]...)
	out = append(out, with...)
	return append(out, raw[m.start+len(m.value):]...)
}
