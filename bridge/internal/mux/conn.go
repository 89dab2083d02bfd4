package mux

import (
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/rpc"
)

// Process is the child that a Conn speaks with. One goroutine calls Next; the
// rest is safe for concurrent use, and nothing but Next blocks. Exit may be
// called after Done, Close after the last Next.
type Process interface {
	Next() ([]byte, error)
	// Write gives the child a line, or lets it wait until the child reads.
	// withdraw takes it back while it waits; nil where it does not. ok is false
	// where no more may wait.
	Write(line []byte, edits ...rpc.Edit) (withdraw func() bool, ok bool)
	// Stuck is for how long the child has taken nothing of what waits for it.
	Stuck(now time.Time) time.Duration
	Stop()
	Kill()
	Done() <-chan struct{}
	Exit() (status, stderr string)
	Close()
}

// Options say what a Conn is to do, and whom it tells. The functions run on the
// goroutine that reads the child and must not block.
type Options struct {
	Shared  bool // many links: ids and tokens are rewritten
	Sleeps  bool // it may be ended while Quiet: what is to come of it is noted
	Secret  bool // many users: stderr is told to none of them
	Adapter Adapter
	Guard   Guard // may be nil
	Bounds  Bounds
	Stats   *Stats
	Log     zerolog.Logger

	Spoke  func()           // the child said its first word
	Failed func(why string) // it ended before that, and by itself
	Gone   func(*Conn)      // it is gone, and every call on it was answered
}

// Conn is one child and the table of who asked what of it.
type Conn struct {
	proc    Process
	carrier Carrier // the same, where it is one
	o       Options
	ready   Ready // set once, before the Conn is shared
	done    chan struct{}

	spoke   atomic.Bool
	stopped atomic.Bool            // by the bridge
	deaf    atomic.Bool            // the bridge's own words find no room; said once
	fault   atomic.Pointer[string] // why the bridge ended the child

	subs sync.Mutex // over mu: see subscribe.go

	mu     sync.Mutex
	calls  map[string]*Call     // by the id that the child knows
	tokens map[string]*Call     // by the token that the child knows
	stale  map[string]time.Time // ids given up and when, which the child may still answer
	mayAsk map[owner]time.Time  // until when a shared child may still ask for a call that is over
	asked  map[string]question  // by the id that the client knows
	links  map[*Link]struct{}
	tasks  tasks
	next   uint64
	order  uint64    // of the last call
	called time.Time // first
	said   time.Time // the last word of either side, pings left aside
	due    time.Time // until when the child keeps what a client may come for
	dead   *rpc.Error
	failed bool // it ended by itself, with calls in flight
}

// question is a request of the child that a client has not answered.
type question struct {
	link    *Link
	childID []byte
	since   time.Time
	method  string
}

// maxAsked is how many such requests may wait at once: more than any server
// asks that reads the answers.
const maxAsked = 1024

// Ready is what the bridge learned when it made a child ready itself.
type Ready struct {
	Modern bool   // the child speaks 2026-07-28 and needs no initialize
	Result []byte // raw: of initialize, or of server/discover where Modern
}

// New speaks with the child until it is gone. An Adapter is for a child of one
// client, which initialises it; the bridge made ready any other itself.
func New(proc Process, o Options) *Conn {
	c := bare(o)
	c.proc = proc
	if carrier, ok := proc.(Carrier); ok {
		c.carrier = carrier
		carrier.Hear(c.hear)
	}
	go c.read()
	return c
}

func bare(o Options) *Conn {
	return &Conn{
		o: o, done: make(chan struct{}),
		calls: map[string]*Call{}, tokens: map[string]*Call{}, stale: map[string]time.Time{}, mayAsk: map[owner]time.Time{},
		asked: map[string]question{}, links: map[*Link]struct{}{}, said: time.Now(),
	}
}

// Ready is what was learned of the child; zero where a client initialised it.
func (c *Conn) Ready() Ready { return c.ready }

// SetReady notes what was learned of the child, before anybody else has it.
func (c *Conn) SetReady(r Ready) { c.ready = r }

// Shared tells whether the child may have many clients.
func (c *Conn) Shared() bool { return c.o.Shared }

// Done is closed when the child is gone and every call on it was answered.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Stop ends the child. It returns at once.
func (c *Conn) Stop() {
	c.stopped.Store(true)
	c.proc.Stop()
}

// Kill ends the child at once.
func (c *Conn) Kill() { c.proc.Kill() }

// Tell sends the child a line of the bridge's own. One that finds no room is
// dropped and counted: the child has asked for more than it reads.
func (c *Conn) Tell(line []byte) {
	_, err := c.write(line)
	if err == nil {
		c.deaf.Store(false)
		return
	}
	c.o.Stats.Dropped.Add(1)
	if !c.deaf.Swap(true) {
		c.o.Log.Warn().Err(err).Msg("the server is not told what it does not read")
	}
}

// early tells whether the child was stopped before its time to say a first word
// was over: its client left, which is no fault of the server.
func (c *Conn) early() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped.Load() && (c.called.IsZero() || time.Since(c.called) < c.o.Bounds.Start)
}

// Dead tells why no call can be made any more, or nil.
func (c *Conn) Dead() *rpc.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// Busy counts the calls in flight.
func (c *Conn) Busy() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

// read is the one goroutine that hears the child.
func (c *Conn) read() {
	for {
		line, err := c.proc.Next()
		if err != nil {
			c.ended(err)
			return
		}
		c.hear(line)
	}
}

func (c *Conn) hear(line []byte) {
	if len(line) == 0 {
		return
	}
	if c.adapted() {
		c.hearAdapted(line)
		return
	}
	c.take(line)
}

// take routes one line of the child.
func (c *Conn) take(line []byte) {
	m, err := rpc.Parse(line)
	if err != nil {
		c.hearOdd(line, err)
		return
	}
	if !c.spoke.Swap(true) {
		c.o.Spoke()
	}
	c.route(&m)
}

// hearOdd takes a batch apart; anything else on standard output is no message
// and is never passed on.
func (c *Conn) hearOdd(line []byte, fault error) {
	parts, batch, err := rpc.Split(line, c.o.Bounds.Batch)
	if err != nil {
		fault = err
	}
	if err != nil || !batch {
		c.hearUnusable(line, fault)
		return
	}
	for _, part := range parts {
		if m, err := rpc.Parse(part); err == nil {
			c.route(&m)
		} else {
			c.hearUnusable(part, err)
		}
	}
}

// hearUnusable ends the call that a line without use would have answered: its
// client need not wait for the time of the call.
func (c *Conn) hearUnusable(line []byte, fault error) {
	if n := c.o.Stats.Garbage.Add(1); seldom(n) {
		c.o.Log.Warn().Int("bytes", len(line)).Int64("so_far", n).Err(fault).
			Msg("the server wrote a line that is no JSON-RPC message")
	}
	id := rpc.Named(line)
	c.mu.Lock()
	call, ok := rpc.Find(c.calls, id)
	if ok {
		c.forget(call)
	}
	c.mu.Unlock()
	if ok {
		call.fail("error", rpc.Errorf(rpc.CodeInternal, "the server's answer cannot be used: %v", fault))
	}
}

// seldom picks 1, 2, 4, 8 and so on: what a child does without end is not
// logged without end.
func seldom(n int64) bool { return n&(n-1) == 0 }

// write sends to the child and waits for nothing. A child that has ended takes
// what it is told: its end answers the calls.
func (c *Conn) write(line []byte, edits ...rpc.Edit) (withdraw func() bool, err error) {
	if c.adapted() {
		return nil, c.writeAdapted(line, edits...)
	}
	return c.writeRaw(line, edits...)
}

// writeAs is write for a caller.
func (c *Conn) writeAs(who *Caller, line []byte, edits ...rpc.Edit) (withdraw func() bool, err error) {
	if c.carrier == nil {
		return c.write(line, edits...)
	}
	withdraw, ok := c.carrier.WriteAs(who, line, edits...)
	return withdraw, room(ok)
}

func (c *Conn) writeRaw(line []byte, edits ...rpc.Edit) (withdraw func() bool, err error) {
	withdraw, ok := c.proc.Write(line, edits...)
	return withdraw, room(ok)
}

func room(ok bool) error {
	if !ok {
		return &Refusal{Retry: 5 * time.Second, Reason: "the server is busy, and no more may wait until it reads"}
	}
	return nil
}

// freshKey makes an id or a token that nobody uses. The lock is held.
func (c *Conn) freshKey() string {
	for {
		c.next++
		key := strconv.FormatUint(c.next, 10) // an integer, which is what every server expects
		if !c.taken(key) {
			return key
		}
	}
}

func (c *Conn) taken(key string) bool {
	if _, ok := c.calls[key]; ok {
		return true
	}
	if _, ok := c.stale[key]; ok {
		return true
	}
	if _, ok := c.asked[key]; ok {
		return true
	}
	_, ok := c.tokens[key]
	return ok
}

// drop takes a call out of the tables; false where it was over. Its id is
// remembered until the child answers it, so that no later call can have it.
func (c *Conn) drop(call *Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[call.key] != call {
		return false
	}
	c.forget(call)
	if call.carried { // the other Conn remembers it
		if call.stop != nil {
			call.stop()
		}
		return true
	}
	if call.withdraw != nil && call.withdraw() {
		call.untold = true
		return true
	}
	now := time.Now()
	c.outdate(call.key, now)
	c.mayAskUntil(call.link, now.Add(lateDropped))
	return true
}

// maxStale is how many ids of calls that were given up are remembered.
const maxStale = 16 << 10

// outdate remembers an id that the child may still answer. Where the bridge
// makes the ids, none is used twice, and one that is forgotten costs a line of
// the log; where they are the client's, no call is taken before there is room.
// The lock is held.
func (c *Conn) outdate(key string, now time.Time) {
	if len(c.stale) < maxStale {
		c.stale[key] = now
	}
}

// forget is drop for a call that the child has answered. The lock is held.
func (c *Conn) forget(call *Call) {
	delete(c.calls, call.key)
	if call.tokenKey != "" {
		delete(c.tokens, call.tokenKey)
	}
	l := call.link
	for i, other := range l.calls {
		if other == call {
			l.calls = append(l.calls[:i], l.calls[i+1:]...)
			break
		}
	}
}

func (c *Conn) tellCancelled(call *Call, reason string) {
	if call.inner != nil {
		call.inner.Cancel(reason)
	}
	if call.carried {
		return
	}
	if call.untold || call.Method == "initialize" { // the latter must not be cancelled (2025-11-25, cancellation)
		return
	}
	why, _ := json.Marshal(reason)
	line := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + call.key +
		`,"reason":` + string(why) + `}}`
	c.Tell([]byte(line))
}
