package mux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// user is one of many on a shared child.
type user struct {
	t *testing.T
	c *Conn
	l *Link
	q *event.Queue
}

func users(t *testing.T, names ...string) (c *Conn, child *paper, all []*user) {
	t.Helper()
	c = alone(true)
	for _, name := range names {
		q := event.NewQueue(1 << 20)
		who := &Caller{Identity: &contract.Identity{Subject: name}, Session: "of " + name}
		l, err := c.Link(LinkOptions{Standing: q, Caller: who})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &user{t, c, l, q})
	}
	return c, c.proc.(*paper), all
}

// does makes a call that the child answers with the result, and returns what the
// user is told.
func (u *user) does(method, params, result string) string {
	u.t.Helper()
	m, err := rpc.ParseClient([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`))
	if err != nil {
		u.t.Fatal(err)
	}
	call, err := u.l.Call(context.Background(), &m, u.q)
	var refused *rpc.Error
	if errors.As(err, &refused) {
		return refused.Message
	}
	u.c.hear([]byte(`{"jsonrpc":"2.0","id":` + call.key + `,"result":` + result + `}`))
	e, _, _ := u.q.Pop()
	return string(e.Result())
}

// TestATaskIsOfWhoMadeIt: on a shared child nobody else may name it, and a list
// holds one's own.
func TestATaskIsOfWhoMadeIt(t *testing.T) {
	c, child, all := users(t, "alice", "bob")
	alice, bob := all[0], all[1]
	alice.does("tools/call", `{"name":"x","task":{"ttl":60000}}`, `{"task":{"taskId":"a","status":"working"}}`)
	bob.does("tools/call", `{"name":"x"}`, `{"resultType":"task","taskId":"b","status":"working"}`)
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel", "tasks/update"} {
		before := len(child.lines)
		if got := alice.does(method, `{"taskId":"b"}`, `{}`); got != "no such task" {
			t.Errorf("%s of another's: %s", method, got)
		}
		for _, params := range []string{`{}`, `{"taskId":"c"}`, `{"taskId":"a","taskId":"b"}`,
			`{"taskId":"a","taskID":"b"}`, `{"task\u0049d":"b"}`} {
			if got := alice.does(method, params, `{"taskId":"b"}`); strings.HasPrefix(got, "{") {
				t.Errorf("%s %s: %s", method, params, got)
			}
		}
		if len(child.lines) != before {
			t.Errorf("the child is told %v", child.lines[before:])
		}
		if got := alice.does(method, `{"taskId":"a"}`, `{"taskId":"a"}`); got != `{"taskId":"a"}` {
			t.Errorf("%s of one's own: %s", method, got)
		}
	}
	list := `{"tasks":[{"taskId":"a"},{"taskId":"b"},{"taskId":"nobody's"}, {"x":1}],"nextCursor":"n"}`
	if got := bob.does("tasks/list", `{}`, list); got != `{"tasks":[{"taskId":"b"}],"nextCursor":"n"}` {
		t.Errorf("bob's list is %s", got)
	}
	c.hear([]byte(`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"b","status":"completed"}}`))
	if _, told, _ := alice.q.Pop(); told {
		t.Error("alice is told of bob's task")
	}
	if e, told, _ := bob.q.Pop(); !told || !strings.Contains(string(e.Bytes()), "completed") {
		t.Error("bob is not told of his task")
	}
}

// TestTasksAreBounded: those of one user make no room of another's.
func TestTasksAreBounded(t *testing.T) {
	_, _, all := users(t, "alice", "bob")
	bob := all[1]
	bob.does("tools/call", `{"name":"x"}`, `{"task":{"taskId":"b"}}`)
	for n := range maxTasks + 10 {
		all[0].does("tools/call", `{"name":"x"}`, fmt.Sprintf(`{"task":{"taskId":"%d"}}`, n))
	}
	if n := len(all[0].c.tasks.owner); n != maxTasks+1 {
		t.Errorf("%d tasks are remembered", n)
	}
	if got := bob.does("tasks/get", `{"taskId":"b"}`, `{}`); got != "{}" {
		t.Errorf("bob's own: %s", got)
	}
	if got := all[0].does("tasks/get", `{"taskId":"0"}`, `{}`); got != "no such task" {
		t.Errorf("the oldest: %s", got)
	}
}
