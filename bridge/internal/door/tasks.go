package door

import (
	"bytes"
	"slices"
	"sync"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// tasks tell which server made a task (2025-11-25, utilities/tasks), by user.
type tasks struct {
	mu sync.Mutex
	of map[string]*made
}

// made are those of one user.
type made struct {
	by    map[string]string // a server's name, by the task's id; "" where two gave it
	order []string
}

const (
	maxTasks  = 1024    // of one user; the oldest is forgotten, and then nobody's
	maxTaskID = 1 << 10 // bytes
)

// Made notes the task that a result tells of, if it does.
func (d *Door) Made(who *contract.Identity, s *Server, result []byte) {
	if !bytes.Contains(result, []byte("taskId")) {
		return
	}
	id := rpc.Text(rpc.Member(rpc.Member(result, "task"), "taskId"))
	if id == "" {
		id = rpc.Text(rpc.Member(result, "taskId"))
	}
	if id == "" || len(id) > maxTaskID {
		return
	}
	t := &d.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[string]*made{}
	}
	mine := t.of[who.Subject]
	if mine == nil {
		mine = &made{by: map[string]string{}}
		t.of[who.Subject] = mine
	}
	if by, known := mine.by[id]; known {
		if by != s.Name {
			mine.by[id] = "" // neither is told of the other's
		}
		return
	}
	mine.by[id] = s.Name
	if mine.order = append(mine.order, id); len(mine.order) > maxTasks {
		delete(mine.by, mine.order[0])
		mine.order = slices.Delete(mine.order, 0, 1)
	}
}

// ofTask is the server of the task that a call names, or nil.
func (d *Door) ofTask(who *contract.Identity, m *rpc.Message) *Server {
	raw, err := m.Param("taskId")
	if err != nil {
		return nil
	}
	t := &d.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.of[who.Subject]
	if mine == nil {
		return nil
	}
	name := mine.by[rpc.Text(raw)]
	for _, s := range d.Servers() {
		if s.Name == name {
			return s
		}
	}
	return nil
}
