package door

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// TestWhatTheDoorKnowsOfTasksIsBounded: a user loses his own oldest, and who began
// none for longest makes room for all.
func TestWhatTheDoorKnowsOfTasksIsBounded(t *testing.T) {
	var all tasks
	for n := range userTasks + 1 {
		all.note("alice", fmt.Sprint(n), "a")
	}
	all.note("bob", "1", "b")
	all.note("bob", "1", "a")
	all.note("bob", string(make([]byte, maxTaskID+1)), "b")
	first, second, his := all.find("alice", "0"), all.find("alice", "1"), all.find("bob", "1")
	if first != "" || second != "a" || his != "b" || all.all != userTasks+1 {
		t.Errorf("%d are remembered: %q %q %q", all.all, first, second, his)
	}
	for n := range allTasks {
		all.note(fmt.Sprint("user ", n), "1", "a")
	}
	if all.all != allTasks || len(all.users) != allTasks || all.order.Len() != allTasks || all.find("alice", "9") != "" {
		t.Errorf("%d tasks of %d users are remembered", all.all, len(all.users))
	}
}

// TestATaskGoesToTheServerOfItsCall, for the user who made it and while he may use
// that server.
func TestATaskGoesToTheServerOfItsCall(t *testing.T) {
	h := build(t, []string{"a", "b"}, time.Second, modernly)
	alice, bob := &contract.Identity{Subject: "alice"}, &contract.Identity{Subject: "bob"}
	var no error
	parts := h.door.o.Parts()
	for i := range parts {
		lease, err := parts[i].Server.Pool().AcquireModern(t.Context(), alice, nil)
		if err != nil {
			t.Fatal(err)
		}
		lease.Release()
		parts[i].May = func(*contract.Identity) error { return no }
	}
	h.door.Began(alice, "b", "t1")
	route := func(who *contract.Identity, method, id string) string {
		m, err := rpc.Parse(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":%q,"params":{"taskId":%q}}`, method, id))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := h.door.Route(&m, who)
		return p.Name
	}
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel", "tasks/update"} {
		if got := route(alice, method, "t1"); got != "b" {
			t.Errorf("%s goes to %q", method, got)
		}
	}
	if route(bob, "tasks/get", "t1") != "" || route(alice, "tasks/get", "t2") != "" ||
		route(alice, "tasks/list", "t1") != "" {
		t.Error("a call goes to a server that knows nothing of it")
	}
	if no = errNotOpen; route(alice, "tasks/get", "t1") != "" {
		t.Error("a call goes to a server that its caller may not use")
	}
}

// modernly speaks 2026-07-28.
func modernly(f *fake, m *rpc.Message) {
	f.result(m.ID(), `{"supportedVersions":["2026-07-28"],"capabilities":{}}`)
}
