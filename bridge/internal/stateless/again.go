package stateless

import (
	"context"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/rpc"
)

// Calls of one identity share a child, so one that ends it takes the others
// with it. Those that a second run cannot harm are sent once more.

// acquire gets a child for the call: that which waits for its input, where one
// does, and whose lease stays with that call.
func (x *exchange) acquire(ctx context.Context) (*fleet.Lease, error) {
	if lease := x.front.suspended.lease(x); lease != nil {
		x.waits = true
		return lease, nil
	}
	return x.front.pool.AcquireModern(ctx, x.caller.Identity, func() error { return x.allowed(ctx) })
}

// allowed asks whether the caller may make the call, and begins nothing. One that
// waits goes on waiting where not: a client may get the scope that is missing,
// and come back.
func (x *exchange) allowed(ctx context.Context) error {
	return x.front.pool.Allows(ctx, x.caller, x.message, x.req.Params.Has("requestState"))
}

// again sends the call to another child, where its own ended before anything of
// the answer was passed on.
func (x *exchange) again(ctx context.Context, lost event.Event) bool {
	if x.once || !lost.Unread && !x.repeatable() {
		return false
	}
	x.once = true
	x.leave()
	lease, err := x.acquire(ctx)
	if err != nil {
		return false // the client learns how the first child ended
	}
	was := x.child
	x.child, x.asked = x.front.children.get(lease.Conn), nil
	if x.child.modern != was.modern || x.begin(ctx, lease.Conn, x.req.ForChild(!x.child.modern)) != nil {
		x.child = was
		lease.Release()
		return false
	}
	x.lease = lease
	return true
}

// repeatable tells whether a second run does no more than the first: the method
// only reads, or the server says it of the tool.
func (x *exchange) repeatable() bool {
	switch x.req.Method {
	case rpc.CallTool:
		name, _ := x.req.Params.Text("name")
		return x.child.repeatable(name)
	case rpc.ListTools, rpc.GetPrompt, rpc.ReadResource, "prompts/list", "resources/list", "resources/templates/list",
		"completion/complete":
		return true
	}
	return false
}
