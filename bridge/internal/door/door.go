package door

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// Part is one of the servers behind the door.
type Part struct {
	Name   string
	Server *fleet.Server
	// May tells why the caller may use nothing of it, or nil.
	May func(who *contract.Identity) error
}

// Options say what the door stands before.
type Options struct {
	Parts     func() []Part // as they are now, in the order of the file
	Table     *session.Table
	Separator string        // between a server's name and its tool's
	ListTime  time.Duration // that a list waits for one server
	Guard     mux.Guard     // is told of the calls that come to no server; may be nil
	Log       zerolog.Logger
}

// Door is safe for concurrent use.
type Door struct {
	o       Options
	aliases aliases
	memory  memory
	tasks   tasks

	mu    sync.Mutex
	desks map[*desk]struct{}
	late  map[*fleet.Server]time.Time // when a list may try again one that did not come in time
}

// New opens nothing yet.
func New(o Options) *Door {
	return &Door{o: o, desks: map[*desk]struct{}{}, late: map[*fleet.Server]time.Time{}}
}

// Start is a fleet.ServerConfig's.
func (d *Door) Start(owner *contract.Identity, label string) (mux.Process, error) {
	ctx, stop := context.WithCancel(context.Background())
	k := &desk{
		door: d, ctx: ctx, stop: stop, log: d.o.Log.With().Str("session", label).Logger(),
		done: make(chan struct{}), inners: map[string]*inner{}, begun: map[string]context.CancelFunc{},
		asked:  map[string]question{},
		tokens: map[string]wanted{}, owners: map[string]string{}, tasks: map[string]string{},
	}
	if owner != nil {
		k.owner = *owner
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.desks[k] = struct{}{}
	return k, nil
}

// Changed tells every client that the servers, or what they may do there, are
// others now.
func (d *Door) Changed() {
	d.mu.Lock()
	desks := slices.Collect(maps.Keys(d.desks))
	clear(d.late)
	d.mu.Unlock()
	d.memory.clear()
	d.aliases.clear()
	for _, k := range desks {
		k.changed()
	}
}

func (d *Door) gone(k *desk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.desks, k)
}

// parts are those that the caller may use.
func (d *Door) parts(who *contract.Identity) []Part {
	all := d.o.Parts()
	mine := make([]Part, 0, len(all))
	for _, p := range all {
		if p.May(who) == nil {
			mine = append(mine, p)
		}
	}
	return mine
}

// Route is the server of a call of 2026-07-28 by the name of a tool or a prompt, or
// by the task that such a call began, and the call as that server knows it; nil
// where the door answers itself. A
// server that speaks this era keeps nothing between calls, and what it asks it
// asks in the answer to this very call. An older one has one child for all that
// its user does here.
func (d *Door) Route(m *rpc.Message, who *contract.Identity) (Part, *rpc.Message) {
	if aboutTask(m.Method) {
		return d.routeTask(m, who)
	}
	if m.Method != rpc.CallTool && m.Method != rpc.GetPrompt {
		return Part{}, nil
	}
	p, name, ok := d.resolve(d.o.Parts(), m.Name())
	if !ok || !p.Server.SpeaksModern() || !plainName(name) || p.May(who) != nil {
		return Part{}, nil
	}
	return p, m.Renamed(quoted(name))
}

// lateFor is how long no list starts a server that did not come in time, and of
// which nothing is known: each new session would start one more that hangs.
const lateFor = time.Minute

// patience is how long a list waits for a server, and whether it may start it.
// One that was late is tried again beside the list: its entries come with a word
// that the lists have changed.
func (d *Door) patience(server *fleet.Server, who *contract.Identity) (wait time.Duration, may bool) {
	known := d.described(server, who) != nil
	d.mu.Lock()
	defer d.mu.Unlock()
	again, late := d.late[server]
	switch now := time.Now(); {
	case !late:
		return d.o.ListTime, true
	case known:
		return 0, true
	case now.Before(again):
		return 0, false
	default:
		d.late[server] = now.Add(lateFor)
		return 0, true
	}
}

func (d *Door) missed(server *fleet.Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, late := d.late[server]; !late {
		d.late[server] = time.Now().Add(lateFor)
	}
}

// quoted is a name as JSON has it. Most are plain.
func quoted(name string) []byte {
	if !plainName(name) {
		return rpc.Quote(name)
	}
	return append(append(append(make([]byte, 0, len(name)+2), '"'), name...), '"')
}

// learn remembers what a server said of itself to this caller: it may name him.
// Who was told lists without it, and started none, hears of it.
func (d *Door) learn(server *fleet.Server, who *contract.Identity, result []byte) {
	d.memory.put(keyOf(server, ofItself, who), result)
	d.mu.Lock()
	_, late := d.late[server]
	delete(d.late, server)
	desks := slices.Collect(maps.Keys(d.desks))
	d.mu.Unlock()
	for _, k := range desks {
		if late && k.lacks(server, true) {
			k.changed()
		}
	}
}

// handOn lets another try a server whose client left before it came.
func (d *Door) handOn(p Part) {
	d.mu.Lock()
	desks := slices.Collect(maps.Keys(d.desks))
	d.mu.Unlock()
	for _, k := range desks {
		if k.lacks(p.Server, false) {
			go func() { _, _ = k.enter(k.ctx, caller{id: &k.owner}, p) }() // it says itself what came of it
			return
		}
	}
}

// described is what a server said of itself to this caller, or to nobody: the
// result of initialize or of server/discover, nil where it has said nothing yet.
func (d *Door) described(server *fleet.Server, who *contract.Identity) []byte {
	if own := d.memory.get(keyOf(server, ofItself, who)); own != nil {
		return own
	}
	return server.Described().Result
}
