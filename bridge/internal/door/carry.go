package door

import (
	"context"
	"errors"
	"strings"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// What one server answers goes to the session there as the call that it is: its
// answer, its progress and its questions come back to this very call.

// way finds the server of a call, and the call as that server knows it.
type way func(k *desk, by caller, m *rpc.Message) (Part, *rpc.Message, error)

func wayOf(method string) way {
	if aboutTask(method) {
		return (*desk).task
	}
	switch method {
	case rpc.CallTool, rpc.GetPrompt:
		return (*desk).named
	case rpc.ReadResource, mux.MethodSubscribe, mux.MethodUnsubscribe:
		return (*desk).resource
	case "completion/complete":
		return (*desk).completed
	}
	return nil
}

// errUnlisted says that no server is known to have what a call names. The lists
// may tell, where nobody has asked for them yet.
var errUnlisted = errors.New("no server lists it")

// Carry implements mux.Carrier. What is refused is refused before any server is
// started, in the words of its own server, so that a front can answer with a
// status and a challenge.
func (k *desk) Carry(ctx context.Context, who *mux.Caller, m *rpc.Message) (mux.Carry, error) {
	find := wayOf(m.Method)
	if find == nil {
		return nil, nil //nolint:nilnil // the desk answers itself
	}
	k.shown.Store(who.Identity)
	by := caller{who.Identity, who.Era}
	p, own, err := find(k, by, m)
	if errors.Is(err, errUnlisted) {
		return k.later(m, func(ctx context.Context, m *rpc.Message, call *mux.Call) (*mux.Call, error) {
			return k.searched(ctx, by, m, call)
		}), nil
	}
	if err != nil {
		k.refused(ctx, by, p, m, own, err)
		return nil, err
	}
	if in := k.open(p); in != nil {
		return func(call *mux.Call) (*mux.Call, error) { return in.call(ctx, by, own, call) }, nil
	}
	if err := k.allows(ctx, by, p, own); err != nil {
		return nil, err
	}
	return k.later(own, func(ctx context.Context, own *rpc.Message, call *mux.Call) (*mux.Call, error) {
		return k.entered(ctx, by, p, own, call)
	}), nil
}

// refused tells the guard of a call that comes to no server: that of the part does
// not take it from this caller, or there is none.
func (k *desk) refused(ctx context.Context, by caller, p Part, m, own *rpc.Message, err error) {
	status := mux.StatusRefused
	if p.Server != nil {
		status, m = mux.StatusOf(err), own
	}
	mux.Refused(ctx, k.door.o.Guard, &mux.Caller{Identity: by.id, Era: by.era, Server: p.Name}, m, status)
}

// allows asks the guard of a server whose session is not open yet.
func (k *desk) allows(ctx context.Context, by caller, p Part, own *rpc.Message) error {
	return p.Server.Allows(ctx, &mux.Caller{Identity: by.id, Era: by.era, Server: p.Name}, own, false)
}

// later carries a call beside the reader of messages, for that takes its time.
func (k *desk) later(
	m *rpc.Message, do func(ctx context.Context, m *rpc.Message, call *mux.Call) (*mux.Call, error),
) mux.Carry {
	kept, err := rpc.Reparse(append([]byte(nil), m.Line...)) // the front may use the room of the body again
	return func(call *mux.Call) (*mux.Call, error) {
		if err != nil {
			return nil, err
		}
		ctx, cancel := call.Within(k.ctx)
		go func() {
			defer cancel()
			inner, err := do(ctx, &kept, call)
			switch {
			case ctx.Err() != nil && inner == nil: // nobody waits
			case err != nil:
				call.Refuse(err)
			case inner != nil:
				call.With(inner)
			}
		}()
		return nil, nil //nolint:nilnil // it is yet to come
	}
}

// entered carries a call to a server whose session is opened for it.
func (k *desk) entered(ctx context.Context, by caller, p Part, own *rpc.Message, call *mux.Call) (*mux.Call, error) {
	in, err := k.enter(ctx, by, p)
	if err != nil {
		return nil, err
	}
	return in.call(ctx, by, own, call)
}

// searched carries a call by what only the lists can tell.
func (k *desk) searched(ctx context.Context, by caller, m *rpc.Message, call *mux.Call) (*mux.Call, error) {
	k.surveyed(ctx, by)
	p, own, err := wayOf(m.Method)(k, by, m)
	if err != nil {
		k.refused(ctx, by, p, m, own, err)
	}
	switch {
	case errors.Is(err, errUnlisted) && m.Method == "completion/complete":
		return nil, rpc.Errorf(rpc.CodeInvalidParams, "no server lists the resource that is to be completed")
	case errors.Is(err, errUnlisted):
		return nil, rpc.Errorf(rpc.CodeNoResource, "no server lists the resource %q", rpc.Clip(m.URI(), 256))
	case err != nil:
		return nil, err
	}
	if err := k.allows(ctx, by, p, own); err != nil {
		return nil, err
	}
	return k.entered(ctx, by, p, own, call)
}

// call gives the server a call.
func (in *inner) call(ctx context.Context, by caller, own *rpc.Message, call *mux.Call) (*mux.Call, error) {
	return in.session.Call(ctx, by.id, own, &answers{in, call})
}

// answers is where a server's session puts what belongs to a call.
type answers struct {
	in   *inner
	call *mux.Call
}

// Push implements event.Sink.
func (a *answers) Push(e event.Event) bool {
	_ = a.in.drain() // its error is the relay's to see
	switch {
	case e.Final:
		a.in.desk.noteTask(a.in, a.call.Method, e)
	case e.Kind == rpc.Request:
		a.in.desk.ask(a.in, e, a.call.Ask)
		return true
	case e.Method == rpc.Cancelled, changes[e.Method] != nil:
		a.in.hear(e)
		return true
	}
	return a.call.Push(e)
}

// named is a call by the name of a tool or a prompt.
func (k *desk) named(by caller, m *rpc.Message) (Part, *rpc.Message, error) {
	p, name, ok := k.door.resolve(k.door.o.Parts(), m.Name())
	if !ok {
		return Part{}, nil, rpc.Errorf(rpc.CodeInvalidParams,
			"Unknown name %q: a tool or a prompt is named SERVER%sNAME here, as the lists tell", rpc.Clip(m.Name(), 128),
			k.door.o.Separator)
	}
	return p, m.Renamed(quoted(name)), p.May(by.id)
}

// resource is a call by a URI, which is told to no server that has not listed
// it.
func (k *desk) resource(by caller, m *rpc.Message) (Part, *rpc.Message, error) {
	p, err := k.partOf(by, k.ownerOf(m.URI()))
	return p, m, err
}

// unsubscribe tells a server what nobody wants any more, where its session is
// open.
func (k *desk) unsubscribe(ctx context.Context, by caller, m *rpc.Message) {
	p, _, err := k.resource(by, m)
	if err == nil {
		if in := k.open(p); in != nil {
			_, err = in.ask(ctx, by, m.Method, m.Params())
		}
	}
	if err != nil {
		k.fail(m.ID(), err)
		return
	}
	k.reply(m.ID(), []byte("{}"))
}

// completed is a completion of what its ref names.
func (k *desk) completed(by caller, m *rpc.Message) (Part, *rpc.Message, error) {
	ref := inside(m.Line, rpc.MemberOf(m.Line, "params"), "ref")
	at := inside(m.Line, ref, "name")
	if at.None() {
		uri := inside(m.Line, ref, "uri")
		begins, _, _ := strings.Cut(rpc.Text(m.Line[uri.Start:uri.End]), "{")
		p, err := k.partOf(by, k.ownerOf(begins))
		return p, m, err
	}
	p, name, ok := k.door.resolve(k.door.parts(by.id), rpc.Text(m.Line[at.Start:at.End]))
	if !ok {
		return Part{}, nil, rpc.Errorf(rpc.CodeInvalidParams, "no server has the prompt that is to be completed")
	}
	own, err := rpc.Reparse(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: at, With: rpc.Quote(name)}))
	return p, &own, err
}

// task is a call about a task.
func (k *desk) task(by caller, m *rpc.Message) (Part, *rpc.Message, error) {
	id := rpc.Text(rpc.Member(m.Params(), "taskId"))
	k.mu.Lock()
	owner := k.tasks[id]
	k.mu.Unlock()
	p, err := k.partOf(by, owner)
	if err != nil {
		err = rpc.Errorf(rpc.CodeInvalidParams, "no task of this session has the id %q", rpc.Clip(id, 128))
	}
	return p, m, err
}

// partOf is a server by its name, where the caller may use it.
func (k *desk) partOf(by caller, name string) (Part, error) {
	for _, p := range k.door.parts(by.id) {
		if p.Name == name {
			return p, nil
		}
	}
	return Part{}, errUnlisted
}

// inside is the place of a member of the object at a place of line.
func inside(line []byte, at rpc.Span, name string) rpc.Span {
	if at.None() {
		return at
	}
	in := rpc.MemberOf(line[at.Start:at.End], name)
	if in.None() {
		return in
	}
	return rpc.Span{Start: at.Start + in.Start, End: at.Start + in.End}
}
