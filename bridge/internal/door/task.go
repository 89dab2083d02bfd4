package door

import (
	ring "container/list"
	"sync"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// A call that the door gives to its server at once, without a session, may begin a
// task there. No desk hears of it, so the door remembers for each user which
// server it is at: what a client asks about the task goes the same way.

const (
	userTasks = 1 << 10  // of one user: his oldest is forgotten
	allTasks  = 16 << 10 // of all: the oldest of who began none for longest
	maxTaskID = 1 << 10  // bytes
)

// aboutTask tells whether a call names a task.
func aboutTask(method string) bool {
	switch method {
	case "tasks/get", "tasks/result", "tasks/cancel", "tasks/update":
		return true
	}
	return false
}

// Began notes that a call of the user began a task at a server.
func (d *Door) Began(who *contract.Identity, part, task string) {
	d.tasks.note(who.Subject, task, part)
}

// routeTask is Route for a call that names a task.
func (d *Door) routeTask(m *rpc.Message, who *contract.Identity) (Part, *rpc.Message) {
	id, err := m.Param("taskId")
	if err != nil {
		return Part{}, nil
	}
	name := d.tasks.find(who.Subject, rpc.Text(id))
	for _, p := range d.o.Parts() {
		if name != "" && p.Name == name && p.Server.SpeaksModern() && p.May(who) == nil {
			return p, m
		}
	}
	return Part{}, nil
}

// tasks are where the tasks of each user are.
type tasks struct {
	mu    sync.Mutex
	users map[string]*ring.Element
	order ring.List // of *tasker: who began none for longest is first
	all   int
}

// tasker is a user who has tasks.
type tasker struct {
	user string
	ids  []string // oldest first
	part map[string]string
}

func (t *tasks) find(user, id string) (part string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.users[user]; at != nil {
		return at.Value.(*tasker).part[id]
	}
	return ""
}

func (t *tasks) note(user, id, part string) {
	if len(id) > maxTaskID {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.of(user)
	if of.part[id] != "" { // who began it first has it
		return
	}
	of.ids, of.part[id] = append(of.ids, id), part
	if t.all++; len(of.ids) > userTasks {
		t.drop(of)
	}
	if t.all > allTasks {
		t.drop(t.order.Front().Value.(*tasker))
	}
}

// of is the user as the one who began a task last. The lock is held.
func (t *tasks) of(user string) *tasker {
	at := t.users[user]
	if at == nil {
		if t.users == nil {
			t.users = map[string]*ring.Element{}
		}
		at = t.order.PushBack(&tasker{user: user, part: map[string]string{}})
		t.users[user] = at
	}
	t.order.MoveToBack(at)
	return at.Value.(*tasker)
}

// drop forgets the oldest task of a user. The lock is held.
func (t *tasks) drop(of *tasker) {
	delete(of.part, of.ids[0])
	of.ids = of.ids[1:]
	t.all--
	if len(of.ids) == 0 {
		t.order.Remove(t.users[of.user])
		delete(t.users, of.user)
	}
}
