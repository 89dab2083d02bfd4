package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// taskName is a server of 2026-07-28 alone, whose tools begin tasks.
const taskName = "tasks"

// serveTasks knows its own tasks alone: each child has others.
func serveTasks() {
	begun := map[string]bool{}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ TaskID string }
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		answer := `"error":{"code":-32601,"message":"of another era"}`
		switch {
		case m.Method == "server/discover":
			answer = `"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`
		case m.Method == "tools/call":
			id := fmt.Sprintf("task %d of %d", len(begun), os.Getpid())
			begun[id] = true
			answer = fmt.Sprintf(`"result":{"resultType":"task","taskId":%q,"status":"working"}`, id)
		case strings.HasPrefix(m.Method, "tasks/") && begun[m.Params.TaskID]:
			answer = fmt.Sprintf(`"result":{"resultType":"complete","taskId":%q,"status":"working"}`, m.Params.TaskID)
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,%s}`+"\n", m.ID, answer)
	}
}

// TestATaskOfAModernServerIsReachedThroughTheDoor: what asks about it goes to the
// child that has it.
func TestATaskOfAModernServerIsReachedThroughTheDoor(t *testing.T) {
	base, _ := startSeveral(t, []string{entryOf("a", ""), entryOf(taskName, "")})
	alone, door := modernPeer{base + "/servers/" + taskName}, modernPeer{base}
	for range 2 { // the first call makes known that the server speaks this era
		if a := alone.call(t, "", "tools/call", "begin", `{"name":"begin","arguments":{}}`); a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
	}
	a := door.call(t, "", "tools/call", taskName+"__begin", `{"name":"`+taskName+`__begin","arguments":{}}`)
	var task struct{ TaskID string }
	if json.Unmarshal(a.Result, &task) != nil || task.TaskID == "" {
		t.Fatalf("no task is begun: %s %+v", a.Result, a.Error)
	}
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		params := fmt.Sprintf(`{"taskId":%q}`, task.TaskID)
		a := door.call(t, "", method, "", params)
		if a.Error != nil || !strings.Contains(string(a.Result), task.TaskID) {
			t.Errorf("%s: %s %+v", method, a.Result, a.Error)
		}
	}
	if a := door.call(t, "", "tasks/get", "", `{"taskId":"another"}`); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("a task of nobody: %s %+v", a.Result, a.Error)
	}
}
