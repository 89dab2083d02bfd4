package door

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
)

// inner is a desk's session at one server.
type inner struct {
	desk *desk
	part Part

	ready   chan struct{} // closed when session or err stands
	session *session.Session
	err     error
	leave   func()     // of the readers of its standing queue
	order   sync.Mutex // held from taking something off that queue until it is handed on

	// Under desk.mu.
	recalled  map[string][]byte // lists that the client was told from memory, or nil for in vain
	missed    bool              // it was told lists without this server's part
	comparing bool              // somebody asks for recalled
	lastID    uint64
}

// open is the session at a server, where one is open; nil where one may be.
func (k *desk) open(p Part) *inner {
	k.mu.Lock()
	in := k.inners[p.Name]
	k.mu.Unlock()
	if in == nil || in.part.Server != p.Server || !in.live() {
		return nil
	}
	return in
}

// live reports whether the session is open.
func (in *inner) live() bool {
	select {
	case <-in.ready:
		return !in.failed()
	default:
		return false
	}
}

// enter opens the session at a server, or waits for who does.
func (k *desk) enter(ctx context.Context, by caller, p Part) (*inner, error) {
	if in := k.open(p); in != nil {
		return in, nil
	}
	k.mu.Lock()
	if err := k.ctx.Err(); err != nil {
		k.mu.Unlock()
		return nil, err // what it opened now nobody would end
	}
	in := k.inners[p.Name]
	if in == nil || in.failed() || in.part.Server != p.Server {
		in = &inner{desk: k, part: p, ready: make(chan struct{}), recalled: map[string][]byte{}}
		if old := k.inners[p.Name]; old != nil {
			in.recalled, in.missed = old.recalled, old.missed
		}
		k.inners[p.Name] = in
		init, level := k.init, k.level
		k.mu.Unlock()
		go in.begin(by, init, level)
	} else {
		k.mu.Unlock()
	}
	select {
	case <-in.ready:
		return in, in.err
	default:
	}
	select {
	case <-in.ready:
		return in, in.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// soon is enter for a list, which does not wait for a server that is known to
// be late: the client is told when it has come.
func (k *desk) soon(ctx context.Context, by caller, p Part) (*inner, error) {
	if err := p.Server.Health(); err != nil {
		return nil, err
	}
	wait, may := k.door.patience(p.Server, by.id)
	if !may && !k.opening(p) {
		k.miss(p)
		if k.door.described(p.Server, by.id) != nil && k.lacks(p.Server, true) {
			k.changed() // it came just now
		}
		return nil, errLate
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	in, err := k.enter(within, by, p)
	// A list's own time may end in the same moment; who has left needs no word.
	if err != nil && errors.Is(within.Err(), context.DeadlineExceeded) {
		k.door.missed(p.Server)
		k.miss(p)
	}
	return in, err
}

var errLate = rpc.Errorf(rpc.CodeSession, "the server did not come in time, and is not tried again within a minute")

// opening reports whether the session at a server is open, or being opened.
func (k *desk) opening(p Part) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	in := k.inners[p.Name]
	return in != nil && in.part.Server == p.Server && !in.failed()
}

// miss notes that the client was told a list without the server's part.
func (k *desk) miss(p Part) {
	k.mu.Lock()
	in := k.kept(p)
	come := in.live()
	in.missed = !come
	k.mu.Unlock()
	if come {
		k.changed()
	}
}

// kept is what is known of the session at a server, also where none was opened;
// k.mu is held.
func (k *desk) kept(p Part) *inner {
	in := k.inners[p.Name]
	if in == nil || in.part.Server != p.Server {
		in = &inner{desk: k, part: p, ready: make(chan struct{}), err: errNotOpen, recalled: map[string][]byte{}}
		close(in.ready)
		k.inners[p.Name] = in
	}
	return in
}

// lacks reports whether the client was told lists without the server's part and
// no session is being opened there; told says that it hears of it now.
func (k *desk) lacks(server *fleet.Server, told bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, in := range k.inners {
		if in.part.Server == server && in.missed && in.failed() {
			in.missed = !told
			return true
		}
	}
	return false
}

// failed reports whether a session was opened and is none any more.
func (in *inner) failed() bool {
	select {
	case <-in.ready:
	default:
		return false
	}
	if in.err != nil {
		return true
	}
	select {
	case <-in.session.Done():
		return true
	default:
		return false
	}
}

// begin opens the session: it goes on where who wanted it first has left, for
// others wait.
func (in *inner) begin(by caller, init, level []byte) {
	in.session, in.err = in.desk.door.o.Table.OpenWithin(in.part.Server, *by.id, cmp.Or(by.era, "door"))
	if in.err == nil {
		if in.err = in.initialize(by, init); in.err != nil {
			in.session.End(in.err)
		}
	}
	if in.err == nil {
		in.leave = in.session.Reading()
		go in.relay()
		if level != nil {
			_, _ = in.ask(in.desk.ctx, by, mux.MethodSetLevel, level) // a server without levels says no
		}
	}
	close(in.ready)
	switch {
	case in.err == nil:
		in.compare(by)
	case in.desk.ctx.Err() != nil:
		in.desk.door.handOn(in.part)
	}
}

func (in *inner) initialize(by caller, params []byte) error {
	if params == nil {
		params = []byte(`{"protocolVersion":"` + rpc.Version20251125 + `","capabilities":{},` +
			`"clientInfo":{"name":"gatehouse","version":"1"}}`)
	}
	ctx, cancel := context.WithTimeout(in.desk.ctx, in.part.Server.Limits().Start)
	defer cancel()
	result, err := in.ask(ctx, by, "initialize", params)
	if err != nil {
		return err
	}
	in.desk.door.learn(in.part.Server, by.id, bytes.Clone(result))
	in.send(by, []byte(fleet.InitializedLine))
	return nil
}

// ask makes a call of the desk's own, and returns its raw result.
func (in *inner) ask(ctx context.Context, by caller, method string, params []byte) ([]byte, error) {
	in.desk.mu.Lock()
	in.lastID++
	id := `"gh-door-` + strconv.FormatUint(in.lastID, 10) + `"`
	in.desk.mu.Unlock()
	line := `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + string(params) + `}`
	m, err := rpc.Reparse([]byte(line))
	if err != nil {
		return nil, err
	}
	q := event.NewQueue(in.part.Server.Limits().Queue)
	call, err := in.session.Call(ctx, by.id, &m, q)
	if err != nil {
		return nil, err
	}
	for {
		e, ok, err := q.Pop()
		switch {
		case ok && e.Final && !e.Failed:
			return e.Result(), nil
		case ok && e.Final:
			return nil, failure(e)
		case ok:
			in.hear(e)
			continue
		case err != nil:
			return nil, err
		}
		select {
		case <-q.Wake():
		case <-in.session.Done():
			return nil, &rpc.Error{Code: rpc.CodeSession, Message: event.ErrEnded.Error()}
		case <-ctx.Done():
			if call != nil {
				call.Cancel("no answer came in time")
			}
			return nil, &mux.Refusal{Reason: in.part.Name + " did not answer " + method + " in time", Retry: 5 * time.Second}
		}
	}
}

// relay hands on what belongs to no call.
func (in *inner) relay() {
	defer in.leave()
	for in.drain() == nil {
		select {
		case <-in.session.Standing.Wake():
		case <-in.session.Done():
			return
		}
	}
}

// drain hands on what waits. What belongs to a call comes by another way, so it
// is called before that is handed on too: a client that has its answer may not
// listen to what the server logged before it.
func (in *inner) drain() error {
	in.order.Lock()
	defer in.order.Unlock()
	for {
		e, ok, err := in.session.Standing.Pop()
		if !ok {
			return err
		}
		in.hear(e)
	}
}

// hear hands on one message of the server, to a client who may still use it.
func (in *inner) hear(e event.Event) {
	k := in.desk
	switch {
	case e.Silent:
	case e.Kind == rpc.Request && !in.may():
		in.decline(e)
	case e.Kind == rpc.Request:
		k.ask(in, e, k.tell)
	case e.Method == rpc.Cancelled:
		if m, err := rpc.Reparse(e.Bytes()); err == nil {
			k.unask(in, &m)
		}
	default:
		if methods := changes[e.Method]; methods != nil {
			k.door.memory.forget(in.part.Server, methods...)
		}
		if in.may() {
			k.tell(e.Bytes())
		}
	}
}

// may reports whether the client may use the server now, as far as his last message
// tells: roles and scopes can be taken away while the session is open.
func (in *inner) may() bool {
	who := in.desk.shown.Load()
	return who == nil || in.part.May(who) == nil
}

// decline answers what the server asks of a client who may not use it now.
func (in *inner) decline(e event.Event) {
	m, err := rpc.Reparse(e.Bytes())
	if err == nil {
		no := &rpc.Error{Code: rpc.CodeInternal, Message: "the client may not use this server now"}
		in.send(caller{id: &in.desk.owner}, no.Body(m.ID()))
	}
}

func (in *inner) send(by caller, line []byte) {
	if m, err := rpc.Reparse(line); err == nil {
		_ = in.session.Send(in.desk.ctx, by.id, &m) // what it may not be told it does not need
	}
}

func (in *inner) end(why error) {
	if in.session != nil {
		in.session.End(why)
	}
}

// compare asks again for the lists that the client was told from memory or in
// vain, and says where they are others. One asks at a time, until there are none.
func (in *inner) compare(by caller) {
	in.desk.mu.Lock()
	defer in.desk.mu.Unlock()
	if in.comparing {
		return
	}
	in.comparing = true
	for in.missed || len(in.recalled) > 0 {
		told, missed := in.recalled, in.missed
		in.recalled, in.missed = map[string][]byte{}, false
		in.desk.mu.Unlock()
		if missed {
			in.desk.changed()
		}
		for method, old := range told {
			in.renew(by, method, old)
		}
		in.desk.mu.Lock()
	}
	in.comparing = false
}

// renew asks for a list for as long as a start may take: nobody waits for it.
func (in *inner) renew(by caller, method string, old []byte) {
	ctx, cancel := context.WithTimeout(in.desk.ctx, in.part.Server.Limits().Start)
	defer cancel()
	now, err := in.ask(ctx, by, method, []byte("{}"))
	if err != nil {
		return
	}
	in.desk.door.memory.put(keyOf(in.part.Server, method, by.id), now)
	if !bytes.Equal(old, now) {
		in.desk.tell([]byte(`{"jsonrpc":"2.0","method":"` + lists[method].changed + `"}`))
	}
}

// failure is the error of an answer.
func failure(e event.Event) error {
	failed := &rpc.Error{Code: rpc.CodeInternal, Message: "the server's error cannot be read"}
	if err := json.Unmarshal(e.Result(), failed); err != nil {
		failed.Code = rpc.CodeInternal
	}
	return failed
}
