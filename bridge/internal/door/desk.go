package door

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// desk serves one client. It is a mux.Carrier: what its Conn writes are the
// messages of the client that it answers itself, and what it says are the
// servers'. A call for one server goes to the session there, see carry.go.
type desk struct {
	door  *Door
	owner contract.Identity
	log   zerolog.Logger
	ctx   context.Context // until it leaves
	stop  context.CancelFunc
	leave sync.Once
	done  chan struct{}
	shown atomic.Pointer[contract.Identity] // the client as his last message showed him; nil before

	mu     sync.Mutex
	take   func(line []byte)             // see mux.Carrier
	init   []byte                        // raw params of the client's initialize
	level  []byte                        // raw params of its last logging/setLevel
	inners map[string]*inner             // by the server's name
	begun  map[string]context.CancelFunc // of what the desk answers itself, by id
	asked  map[string]question           // of servers, by the id that the client is asked with
	next   uint64                        // such id
	tokens map[string]wanted             // progress that servers want of the client, by the token that it is asked with
	owners map[string]string             // of resources, by URI: the server's name
	models []template                    // of resources
	tasks  map[string]string             // by id: the server's name
}

// Next implements mux.Process: all is said through what Hear was told.
func (k *desk) Next() ([]byte, error) {
	<-k.done
	return nil, io.EOF
}

// Hear implements mux.Carrier.
func (k *desk) Hear(take func(line []byte)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.take = take
}

// tell gives the client a line.
func (k *desk) tell(line []byte) {
	k.mu.Lock()
	take := k.take
	k.mu.Unlock()
	if take != nil { // else nobody is there yet
		take(line)
	}
}

// changed tells the client that every list may be another.
func (k *desk) changed() {
	for _, kind := range []string{"tools", "prompts", "resources"} {
		k.tell([]byte(`{"jsonrpc":"2.0","method":"notifications/` + kind + `/list_changed"}`))
	}
}

func (k *desk) reply(id, result []byte) { k.tell(rpc.ResultBody(id, result)) }

func (k *desk) fail(id []byte, err error) { k.tell(mux.AsRPC(err).Body(id)) }

// Write implements mux.Process, for what the bridge itself says.
func (k *desk) Write(line []byte, edits ...rpc.Edit) (withdraw func() bool, ok bool) {
	return k.WriteAs(nil, line, edits...)
}

// WriteAs implements mux.Carrier.
func (k *desk) WriteAs(who *mux.Caller, line []byte, edits ...rpc.Edit) (withdraw func() bool, ok bool) {
	m, err := rpc.Reparse(rpc.AppendEdited(make([]byte, 0, len(line)+64), line, edits...))
	if err != nil {
		return nil, true // a front has read it: it cannot be
	}
	by := caller{id: &k.owner}
	if who != nil {
		k.shown.Store(who.Identity)
		by = caller{who.Identity, who.Era}
	}
	switch m.Kind {
	case rpc.Request:
		k.request(by, &m)
	case rpc.Response:
		k.respond(by, &m)
	case rpc.Notification:
		k.heard(by, &m)
	}
	return nil, true
}

// caller is who makes a call, and by which front.
type caller struct {
	id  *contract.Identity
	era string
}

// Stuck implements mux.Process: a desk takes everything at once.
func (*desk) Stuck(time.Time) time.Duration { return 0 }

// Stop implements mux.Process.
func (k *desk) Stop() {
	k.leave.Do(func() {
		k.stop()
		close(k.done)
		k.door.gone(k)
		k.mu.Lock()
		inners := make([]*inner, 0, len(k.inners))
		for _, in := range k.inners {
			inners = append(inners, in)
		}
		k.mu.Unlock()
		go func() { // whoever stops may hold a lock that the end of a session wants
			for _, in := range inners {
				<-in.ready
				in.end(session.ErrDeleted)
			}
		}()
	})
}

// Kill implements mux.Process.
func (k *desk) Kill() { k.Stop() }

// Done implements mux.Process.
func (k *desk) Done() <-chan struct{} { return k.done }

// Exit implements mux.Process.
func (*desk) Exit() (status, stderr string) { return "", "" }

// Close implements mux.Process.
func (*desk) Close() {}

// request finds who answers.
func (k *desk) request(by caller, m *rpc.Message) {
	if _, ok := lists[m.Method]; ok {
		k.begin(m, func(ctx context.Context) { k.list(ctx, by, m) })
		return
	}
	switch m.Method {
	case "initialize":
		k.begin(m, func(ctx context.Context) { k.initialize(ctx, by, m) })
	case "ping":
		k.reply(m.ID(), []byte("{}"))
	case mux.MethodSetLevel:
		k.begin(m, func(ctx context.Context) { k.setLevel(ctx, by, m) })
	case mux.MethodUnsubscribe: // by the bridge, of what no client of a Conn of several wants any more
		k.begin(m, func(ctx context.Context) { k.unsubscribe(ctx, by, m) })
	default:
		k.fail(m.ID(), rpc.MethodNotFound(m.Method))
	}
}

// begin does what takes its time beside the reader of messages, until it is
// done or the client gives the call up.
func (k *desk) begin(m *rpc.Message, do func(context.Context)) {
	ctx, cancel := context.WithCancel(k.ctx)
	key := rpc.Key(m.ID())
	k.mu.Lock()
	k.begun[key] = cancel
	k.mu.Unlock()
	go func() {
		do(ctx)
		cancel()
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.begun, key)
	}()
}

// heard passes a notification of the client on to whom it concerns.
func (k *desk) heard(by caller, m *rpc.Message) {
	k.mu.Lock()
	var to []*inner
	line := m.Line
	switch m.Method {
	case "notifications/initialized": // each session behind has its own
	case rpc.Cancelled:
		if cancel := k.begun[rpc.Key(m.Cancels())]; cancel != nil {
			cancel()
		}
	case rpc.Progress:
		if want, ok := k.tokens[rpc.Key(m.Token())]; ok {
			to = append(to, want.in)
			line = rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.TokenSpan(), With: want.token})
		}
	default:
		for _, in := range k.inners {
			if in.live() {
				to = append(to, in)
			}
		}
	}
	k.mu.Unlock()
	for _, in := range to {
		in.send(by, line)
	}
}
