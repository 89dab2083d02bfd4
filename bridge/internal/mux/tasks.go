package mux

import (
	"slices"
	"strings"

	"gatehouse/bridge/internal/rpc"
)

// A task (2025-11-25, utilities/tasks) lives on when the call that made it is
// answered. On a child of many users it belongs to the user who made it: nobody
// else may name it, and a list holds one's own. What a child calls a task is
// whatever has a taskId.

const maxTasks = 1024 // of one user that are remembered; the oldest is nobody's then

const (
	methodTasks     = "tasks/"
	methodListTasks = "tasks/list"
	methodTaskTold  = "notifications/tasks/status"
)

// tasks are those of one child, by user.
type tasks struct {
	owner map[string]string   // by the task's id
	made  map[string][]string // oldest first
}

func (t *tasks) note(user, id string) {
	if t.owner == nil {
		t.owner, t.made = map[string]string{}, map[string][]string{}
	}
	if _, known := t.owner[id]; known { // a child that gives one id to two users betrays neither
		return
	}
	t.owner[id] = user
	made := append(t.made[user], id)
	if len(made) > maxTasks {
		delete(t.owner, made[0])
		made = slices.Delete(made, 0, 1)
	}
	t.made[user] = made
}

// mayName refuses a call about a task of somebody else. The lock is held.
func (c *Conn) mayName(call *Call, m *rpc.Message) error {
	if call.user == nil || !strings.HasPrefix(call.Method, methodTasks) || call.Method == methodListTasks {
		return nil
	}
	raw, err := m.Param("taskId")
	if err != nil {
		return rpc.Errorf(rpc.CodeInvalidParams, "params: %v", err)
	}
	owner, known := c.tasks.owner[rpc.Text(raw)]
	if !known || owner != *call.user {
		return rpc.Errorf(rpc.CodeInvalidParams, "no such task")
	}
	return nil
}

// noteTask remembers who made a task. The lock is held.
func (c *Conn) noteTask(call *Call, result []byte) {
	if !c.o.Shared || call.user == nil {
		return
	}
	if id := rpc.TaskOf(call.Method, result); id != "" && len(id) <= maxTaskID {
		c.tasks.note(*call.user, id)
	}
}

const maxTaskID = 1 << 10 // bytes

// listsTasks tells whether the answer may hold the tasks of others.
func (c *Call) listsTasks() bool {
	return c.Method == methodListTasks && c.user != nil && c.link.conn.o.Shared
}

// ownTasks leaves in a list the tasks of the user.
func (c *Conn) ownTasks(user string, result []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := rpc.MemberOf(result, "tasks")
	if at.None() {
		return []byte(`{"tasks":[]}`) // better nothing than another's
	}
	all := result[at.Start:at.End]
	kept := []byte{'['}
	err := rpc.EachItem(all, func(item rpc.Span) error {
		task := all[item.Start:item.End]
		if owner, known := c.tasks.owner[rpc.Text(rpc.Member(task, "taskId"))]; known && owner == user {
			if len(kept) > 1 {
				kept = append(kept, ',')
			}
			kept = append(kept, task...)
		}
		return nil
	})
	if err != nil {
		return []byte(`{"tasks":[]}`)
	}
	return rpc.AppendEdited(nil, result, rpc.Edit{At: at, With: append(kept, ']')})
}

// ofTask tells whether a link is of the user whose task a notification is about.
// The lock is held.
func (c *Conn) ofTask(m *rpc.Message) func(*Link) bool {
	raw, _ := m.Param("taskId")
	owner, known := c.tasks.owner[rpc.Text(raw)]
	return func(l *Link) bool { return known && l.caller != nil && l.caller.Identity.Subject == owner }
}
