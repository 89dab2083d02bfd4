package session

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// Reasons for the end of a session.
var (
	ErrLoginOver = errors.New("the login has ended")
	ErrLapsed    = errors.New("its stream ended: the token lapsed, or the client may not use the server now")
	ErrAge       = errors.New("the session is too old")
	ErrIdle      = errors.New("the session was idle for too long")
	ErrDrain     = errors.New("the bridge is stopping")
	ErrDeleted   = errors.New("the client ended the session")
	ErrPushedOut = errors.New("the user has opened another session in place of this one")
	ErrNotBegun  = errors.New("the server did not take the client's initialize")
	ErrRetired   = errors.New("the configuration of the server has changed")
)

// Table holds all sessions.
type Table struct {
	// Ended is told of each session that ended; nil tells nobody. Set it before
	// the first is opened.
	Ended func(server, era string, took time.Duration)
	// Woken is told of each session that has a child again, in the same way.
	Woken func(server string, took time.Duration)

	node   string
	newID  func(node string) ID
	limits Limits

	mu       sync.Mutex
	sessions map[string]*Session // by the public part
	own      int                 // of clients: those within others are their servers' part
	users    map[string]int
	servers  []*fleet.Server
	closed   *mux.Refusal
	draining atomic.Bool
	refused  atomic.Int64 // sessions
	quit     chan struct{}
	swept    chan struct{}
}

// NewTable sweeps until Close.
func NewTable(node string, limits Limits, servers ...*fleet.Server) *Table {
	t := &Table{
		node: node, newID: NewID, limits: limits, servers: servers,
		sessions: map[string]*Session{}, users: map[string]int{},
		quit: make(chan struct{}), swept: make(chan struct{}),
	}
	go t.sweep()
	return t
}

// Open makes a session of the owner. Its child starts with the first message.
// Many clients never close one, so past the bound of a user it takes the place of
// the user's idlest, if one is idle at all.
func (t *Table) Open(server *fleet.Server, owner contract.Identity, era string) (*Session, error) {
	for !t.limits.Refuse && t.full(owner.Subject) {
		idlest := t.idlest(owner.Subject)
		if idlest == nil {
			break
		}
		idlest.End(ErrPushedOut)
	}
	return t.open(server, owner, era, false)
}

// OpenWithin makes a session for one that is open already, and has as long a
// life: it counts for no user and not among all, and is never too old or too idle.
// Whoever opened it ends it.
func (t *Table) OpenWithin(server *fleet.Server, owner contract.Identity, era string) (*Session, error) {
	return t.open(server, owner, era, true)
}

func (t *Table) full(user string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limits.SessionsPerUser > 0 && t.users[user] >= t.limits.SessionsPerUser
}

// idlest is the session of the user that was not used for longest, of those
// that nobody listens to and that have no call under way.
func (t *Table) idlest(user string) (idlest *Session) {
	var since time.Time
	for _, s := range t.all() {
		if s.within || s.Owner.Subject != user {
			continue
		}
		if used, idle := s.idle(); idle && (idlest == nil || used.Before(since)) {
			idlest, since = s, used
		}
	}
	return idlest
}

func (t *Table) open(
	server *fleet.Server, owner contract.Identity, era string, within bool,
) (*Session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.refusal(owner.Subject, within)
	if r == nil && !slices.Contains(t.servers, server) {
		r = &mux.Refusal{Reason: ErrRetired.Error(), Retry: time.Second}
	}
	if r != nil {
		t.refused.Add(1)
		return nil, r
	}
	now := time.Now()
	s := &Session{
		ID: t.freeID(), Owner: owner, server: server, table: t, created: now, used: now,
		end: owner.Expires, right: make(chan struct{}), within: within,
		Standing: event.NewQueue(t.limits.Queue), Streams: event.NewStreams(t.limits.Replay), done: make(chan struct{}),
	}
	s.stream = s.Streams.Open(s.Standing, nil)
	s.caller = &mux.Caller{Identity: &s.Owner, Session: s.ID.Label(), Server: server.Name, Era: era}
	t.sessions[s.ID.Public] = s
	if !within {
		t.own++
		t.users[owner.Subject]++
	}
	return s, nil
}

// freeID draws until no open session has the public part, by which sessions are
// found. The lock is held.
func (t *Table) freeID() ID {
	for {
		id := t.newID(t.node)
		if _, taken := t.sessions[id.Public]; !taken {
			return id
		}
	}
}

// refusal is nil where one more session of the user may be opened. The lock is
// held.
func (t *Table) refusal(user string, within bool) *mux.Refusal {
	switch {
	case t.draining.Load():
		return &mux.Refusal{Reason: ErrDrain.Error(), Retry: 5 * time.Second}
	case t.closed != nil:
		return t.closed
	case !within && t.own >= t.limits.Sessions:
		return &mux.Refusal{Retry: 10 * time.Second,
			Reason: fmt.Sprintf("%d sessions are open, the most that this bridge may have", t.own)}
	case !within && t.limits.SessionsPerUser > 0 && t.users[user] >= t.limits.SessionsPerUser:
		return &mux.Refusal{Full: true, Retry: 10 * time.Second,
			Reason: fmt.Sprintf("%d sessions are open for this user, the most that one may have", t.users[user])}
	}
	return nil
}

// Refused counts the sessions that Open refused.
func (t *Table) Refused() int64 { return t.refused.Load() }

// Queued is the number of bytes that wait for the readers of all sessions.
func (t *Table) Queued() int {
	total := 0
	for _, s := range t.all() {
		total += s.Standing.Waiting()
	}
	return total
}

// Find returns the session with this id if it is the owner's and runs on this
// server; whoever else asks learns no more than that it is not there.
func (t *Table) Find(id string, server *fleet.Server, owner *contract.Identity) *Session {
	s := t.named(id)
	if s == nil || s.Owner.Subject != owner.Subject || s.server != server || !s.admits(owner, time.Now()) {
		return nil
	}
	return s
}

// At is the server of the session with this id, or nil. Whose the session is it
// does not ask: Find does.
func (t *Table) At(id string) *fleet.Server {
	if s := t.named(id); s != nil {
		return s.server
	}
	return nil
}

// named is the session with this id, or nil.
func (t *Table) named(id string) *Session {
	want, ok := ParseID(id)
	if !ok {
		return nil
	}
	t.mu.Lock()
	s := t.sessions[want.Public]
	t.mu.Unlock()
	if s == nil || subtle.ConstantTimeCompare([]byte(s.ID.Secret), []byte(want.Secret)) != 1 || s.ID.Node != want.Node {
		return nil
	}
	return s
}

func (t *Table) remove(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions[s.ID.Public] != s {
		return
	}
	delete(t.sessions, s.ID.Public)
	if s.within {
		return
	}
	t.own--
	if t.users[s.Owner.Subject]--; t.users[s.Owner.Subject] == 0 {
		delete(t.users, s.Owner.Subject)
	}
}

// Limits are the bounds in force.
func (t *Table) Limits() Limits { return t.limits }

// Len counts the open sessions.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions)
}

func (t *Table) all() []*Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*Session, 0, len(t.sessions))
	for _, s := range t.sessions {
		out = append(out, s)
	}
	return out
}

// SIDs lists the logins that have something open here, each once.
func (t *Table) SIDs() []string {
	seen := map[string]bool{}
	var out []string
	add := func(sid string) {
		if sid != "" && !seen[sid] {
			seen[sid] = true
			out = append(out, sid)
		}
	}
	for _, s := range t.all() {
		for _, sid := range s.logins() {
			add(sid)
		}
	}
	for _, server := range t.served() {
		for _, sid := range server.Pool().SIDs() {
			add(sid)
		}
	}
	return out
}

// EndSIDs ends all that belongs to these logins.
func (t *Table) EndSIDs(sids []string) {
	over := make(map[string]bool, len(sids))
	for _, sid := range sids {
		over[sid] = true
		for _, server := range t.served() {
			server.Pool().EndSID(sid)
		}
	}
	for _, s := range t.all() {
		if over[s.Owner.SessionID] {
			s.End(ErrLoginOver)
		}
		s.endVisitors(func(v *visitor) bool { return over[v.sid] })
	}
}

// Refuse makes Open refuse with the reason; nil opens it again.
func (t *Table) Refuse(r *mux.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = r
}

func (t *Table) sweep() {
	defer close(t.swept)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-t.quit:
			return
		case now := <-tick.C:
			t.sweepOnce(now)
		}
	}
}

func (t *Table) sweepOnce(now time.Time) {
	for _, server := range t.served() {
		server.Sweep(now)
	}
	for _, s := range t.all() {
		s.lapse(now)
		if why := s.over(now); why != nil {
			s.End(why)
		} else if after := s.server.Limits().Sleep; after > 0 {
			s.doze(now, after)
		}
		s.endVisitors(func(v *visitor) bool { return !v.end.IsZero() && now.After(v.end) })
	}
}

// Close ends all sessions and children, and waits for them, until ctx.
func (t *Table) Close(ctx context.Context) error {
	for _, s := range t.all() {
		s.End(ErrDrain)
	}
	close(t.quit)
	<-t.swept
	var errs []error
	for _, server := range t.served() {
		errs = append(errs, server.Close(ctx))
	}
	return errors.Join(errs...)
}
