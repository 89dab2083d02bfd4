package door

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// desk serves one client. It is a mux.Process: what its Conn writes are the
// client's messages, and what Next returns are the servers'.
type desk struct {
	door  *Door
	owner contract.Identity
	log   zerolog.Logger
	ctx   context.Context // until it leaves
	stop  context.CancelFunc
	leave sync.Once
	done  chan struct{}

	mu     sync.Mutex
	lines  [][]byte // for Next
	bytes  int
	wake   chan struct{}
	init   []byte              // raw params of the client's initialize
	level  []byte              // raw params of its last logging/setLevel
	inners map[string]*inner   // by the server's name
	calls  map[string]*routed  // in flight, by id
	asked  map[string]question // of servers, by the id that the client is asked with
	next   uint64              // such id
	tokens map[string]wanted   // progress that servers want of the client, by the token that it is asked with
	owners map[string]string   // of resources, by URI: the server's name
	models []template          // of resources
	tasks  map[string]string   // by id: the server's name
}

// routed is a call on its way to a server, or there.
type routed struct {
	in     *inner // nil while its session is opened
	cancel context.CancelFunc
}

// question is what a server asked the client.
type question struct {
	in    *inner
	id    []byte // as the server's session knows it
	token string // of the progress that it wants
}

// wanted is the progress of a question.
type wanted struct {
	in    *inner
	token []byte // as the server knows it
}

// maxLines is how many bytes may wait for the Conn, which always reads.
const maxLines = 64 << 20

// Next implements mux.Process.
func (k *desk) Next() ([]byte, error) {
	for {
		k.mu.Lock()
		if len(k.lines) > 0 {
			line := k.lines[0]
			k.lines[0], k.lines = nil, k.lines[1:]
			k.bytes -= len(line)
			k.mu.Unlock()
			return line, nil
		}
		k.mu.Unlock()
		select {
		case <-k.wake:
		case <-k.done:
			return nil, io.EOF
		}
	}
}

// tell gives the client a line.
func (k *desk) tell(line []byte) {
	k.mu.Lock()
	over := k.bytes+len(line) > maxLines
	if !over {
		k.lines, k.bytes = append(k.lines, line), k.bytes+len(line)
	}
	k.mu.Unlock()
	if over {
		k.Kill()
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
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

// WriteAs implements mux.Knowing.
func (k *desk) WriteAs(who *mux.Caller, line []byte, edits ...rpc.Edit) (withdraw func() bool, ok bool) {
	m, err := rpc.Reparse(rpc.AppendEdited(make([]byte, 0, len(line)+64), line, edits...))
	if err != nil {
		return nil, true // a front has read it: it cannot be
	}
	by := caller{id: &k.owner}
	if who != nil {
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
	case rpc.CallTool, rpc.GetPrompt:
		k.named(by, m)
	case rpc.ReadResource, mux.MethodSubscribe, mux.MethodUnsubscribe:
		k.resource(by, m)
	case "completion/complete":
		k.complete(by, m)
	case mux.MethodSetLevel:
		k.begin(m, func(ctx context.Context) { k.setLevel(ctx, by, m) })
	case "tasks/get", "tasks/result", "tasks/cancel", "tasks/update":
		k.task(by, m)
	default:
		k.fail(m.ID(), rpc.MethodNotFound(m.Method))
	}
}

// begin does what takes its time beside the reader of messages, until it is
// done or the client gives the call up.
func (k *desk) begin(m *rpc.Message, do func(context.Context)) {
	ctx, cancel := context.WithCancel(k.ctx)
	key := rpc.Key(m.ID())
	r := &routed{cancel: cancel}
	k.mu.Lock()
	k.calls[key] = r
	k.mu.Unlock()
	go func() {
		defer cancel()
		do(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.calls[key] == r && r.in == nil {
			delete(k.calls, key)
		}
	}()
}

// forward gives a call to a server. A session that is open takes it at once.
func (k *desk) forward(by caller, p Part, m *rpc.Message) {
	if in := k.open(p); in != nil {
		k.pass(by, in, m)
		return
	}
	k.begin(m, func(ctx context.Context) {
		in, err := k.enter(ctx, by, p)
		switch {
		case ctx.Err() != nil: // nobody waits
		case err != nil:
			k.fail(m.ID(), err)
		default:
			k.pass(by, in, m)
		}
	})
}

func (k *desk) pass(by caller, in *inner, m *rpc.Message) {
	key := rpc.Key(m.ID())
	k.mu.Lock()
	k.calls[key] = &routed{in: in}
	k.mu.Unlock()
	if _, err := in.session.Call(k.ctx, by.id, m, &answers{in: in, key: key, method: m.Method}); err != nil {
		k.over(key)
		k.fail(m.ID(), err)
	}
}

func (k *desk) over(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.calls, key)
}

// answers is where a server's session puts what belongs to a call.
type answers struct {
	in          *inner
	key, method string
}

// Push implements event.Sink.
func (a *answers) Push(e event.Event) bool {
	_ = a.in.drain() // its error is the relay's to see
	if e.Final {
		a.in.desk.over(a.key)
		if e.Silent {
			return true
		}
		a.in.desk.noteTask(a.in, a.method, e)
	}
	a.in.hear(e)
	return true
}

// named passes on a call by the name of a tool or a prompt.
func (k *desk) named(by caller, m *rpc.Message) {
	if p, name, ok := k.door.resolve(k.door.o.Parts(), m.Name()); ok && p.May(by.id) == nil {
		own, err := renamed(m, name)
		if err != nil {
			k.fail(m.ID(), err)
			return
		}
		k.forward(by, p, own)
		return
	}
	k.fail(m.ID(), rpc.Errorf(rpc.CodeInvalidParams,
		"Unknown name %q: a tool or a prompt is named SERVER%sNAME here, as the lists tell", rpc.Clip(m.Name(), 128),
		k.door.o.Separator))
}

// respond gives a server the client's answer.
func (k *desk) respond(by caller, m *rpc.Message) {
	key := rpc.Key(m.ID())
	k.mu.Lock()
	q, ok := k.asked[key]
	delete(k.asked, key)
	if q.token != "" {
		delete(k.tokens, q.token)
	}
	k.mu.Unlock()
	if ok {
		q.in.send(by, rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: q.id}))
	}
}

// heard passes a notification of the client on to whom it concerns.
func (k *desk) heard(by caller, m *rpc.Message) {
	k.mu.Lock()
	var to []*inner
	line := m.Line
	switch m.Method {
	case "notifications/initialized": // each session behind has its own
	case rpc.Cancelled:
		if r := k.calls[rpc.Key(m.Cancels())]; r != nil && r.in != nil {
			to = append(to, r.in)
		} else if r != nil {
			r.cancel()
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

// ask asks the client what a server asks, under an id and a token of its own:
// those of two servers may be the same.
func (k *desk) ask(in *inner, e event.Event) {
	m, err := rpc.Reparse(e.Bytes())
	if err != nil {
		return
	}
	q := question{in: in, id: m.ID()}
	k.mu.Lock()
	k.next++
	id := strconv.FormatUint(k.next, 10)
	var token rpc.Edit
	if len(m.Token()) > 0 {
		token = rpc.Edit{At: m.TokenSpan(), With: []byte(id)}
		q.token = id
		k.tokens[id] = wanted{in, m.Token()}
	}
	k.asked[id] = q
	k.mu.Unlock()
	k.tell(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: []byte(id)}, token))
}

// unask tells the client that a server wants no answer any more.
func (k *desk) unask(in *inner, m *rpc.Message) {
	cancelled := rpc.Key(m.Cancels())
	k.mu.Lock()
	for id, q := range k.asked {
		if q.in == in && rpc.Key(q.id) == cancelled {
			delete(k.asked, id)
			defer k.tell(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.CancelSpan(), With: []byte(id)}))
			break
		}
	}
	k.mu.Unlock()
}
