package policy

import (
	"errors"
	"fmt"

	"gatehouse/bridge/internal/rpc"
)

// ErrRequest means that the params of a governed method cannot be read without
// doubt. Such a request must be refused: the child could read it otherwise.
var ErrRequest = errors.New("params")

// Item is one thing that a request is about.
type Item struct {
	Kind Kind
	Name string
	Args []byte // raw, nil where there are none
}

// AppendItems adds to what a request asks for, from its method and raw params,
// which must be valid JSON or empty. Methods that tell nothing but what the
// policy leaves of it have none; one that the policy does not know stands for
// itself.
func AppendItems(to []Item, method string, params []byte) ([]Item, error) {
	switch method {
	case "tools/call":
		return called(to, Tool, params)
	case "prompts/get":
		return called(to, Prompt, params)
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return named(to, Resource, "uri", params)
	case "completion/complete":
		return completed(to, params)
	case "subscriptions/listen":
		return subscribed(to, params)
	case "initialize", "ping", "server/discover", "logging/setLevel",
		"tools/list", "prompts/list", "resources/list", "resources/templates/list",
		"notifications/initialized", "notifications/cancelled", "notifications/progress",
		"notifications/roots/list_changed":
		return to, nil
	}
	return append(to, Item{Kind: Method, Name: method}), nil
}

// called is what the server is given the arguments for.
func called(to []Item, kind Kind, params []byte) ([]Item, error) {
	found, err := pick(params, "name", "arguments")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return item(to, kind, "name", found[0], found[1].value)
}

// named has no arguments: what a client writes where no server looks must not
// meet a condition.
func named(to []Item, kind Kind, field string, params []byte) ([]Item, error) {
	found, err := pick(params, field)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return item(to, kind, field, found[0], nil)
}

func item(to []Item, kind Kind, field string, at member, args []byte) ([]Item, error) {
	name, err := unquote(at.value)
	if err != nil || name == "" {
		return nil, fmt.Errorf("%w: %s is missing or not a string", ErrRequest, field)
	}
	return append(to, Item{Kind: kind, Name: name, Args: args}), nil
}

// completed governs completion/complete by the prompt or the resource template
// that it completes: its answer tells what that one holds.
func completed(to []Item, params []byte) ([]Item, error) {
	found, err := pick(params, "ref")
	if err != nil || found[0].value == nil {
		return nil, fmt.Errorf("%w: ref is missing or there twice", ErrRequest)
	}
	ref, err := pick(found[0].value, "type", "name", "uri")
	if err != nil {
		return nil, fmt.Errorf("%w: ref: %w", ErrRequest, err)
	}
	kind, err := unquote(ref[0].value)
	if err != nil {
		return nil, fmt.Errorf("%w: ref.type is missing or not a string", ErrRequest)
	}
	switch kind {
	case "ref/prompt":
		return item(to, Prompt, "name", ref[1], nil)
	case "ref/resource":
		return item(to, Resource, "uri", ref[2], nil)
	}
	return nil, fmt.Errorf("%w: ref.type is neither ref/prompt nor ref/resource", ErrRequest)
}

// subscribed governs the resources that subscriptions/listen (2026-07-28)
// names.
func subscribed(to []Item, params []byte) ([]Item, error) {
	found, err := pick(params, "notifications")
	if err != nil || found[0].value == nil {
		return nil, fmt.Errorf("%w: notifications is missing or there twice", ErrRequest)
	}
	filter, err := pick(found[0].value, "resourceSubscriptions")
	if err != nil {
		return nil, fmt.Errorf("%w: notifications: %w", ErrRequest, err)
	}
	uris := filter[0].value
	if uris == nil {
		return to, nil
	}
	err = rpc.EachItem(uris, func(at rpc.Span) error {
		if len(to) == maxItems {
			return fmt.Errorf("more than %d", maxItems)
		}
		uri, err := unquote(uris[at.Start:at.End])
		to = append(to, Item{Kind: Resource, Name: uri})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: notifications.resourceSubscriptions: %w", ErrRequest, err)
	}
	return to, nil
}

const maxItems = 1024 // of one request
