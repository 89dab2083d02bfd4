package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxLocalEndings = 100_000
	resubscribe     = 500 * time.Millisecond
)

const userPrefix = "user:"

// UserEnding is the id under which all that a user had until now is ended.
func UserEnding(subject string) string { return userPrefix + subject }

// Endings tells every replica which ids (of sessions, the provider's or ours,
// and of users) have ended and when. A message is a hint that may be lost; the
// tombstone in the store is what counts, and callers look at it again at most
// every Recheck.
type Endings struct {
	store       Store
	self        string        // in front of what this replica announces
	own, tokens time.Duration // of a tombstone: nothing that it ends lives longer
	now         func() time.Time
	log         zerolog.Logger

	mu    sync.Mutex
	local map[mark]time.Time
	fns   []func(id string)
}

// Recheck is the age at which what is remembered of a session is stale. nginx
// remembers a verdict for as long again, so that an ending whose message was
// lost bites within two of them.
const Recheck = time.Second

// NewEndings makes the service; Run must run for it to hear other replicas.
func NewEndings(store Store, own, tokens time.Duration, now func() time.Time, log zerolog.Logger) *Endings {
	return &Endings{store: store, self: NewSecret().Key("")[1:17], own: own, tokens: tokens, now: now, log: log,
		local: map[mark]time.Time{}}
}

// OnEnd adds a function that is called for each id that ends, here or
// elsewhere. Call it before Run.
func (e *Endings) OnEnd(fn func(id string)) { e.fns = append(e.fns, fn) }

// End ends ids everywhere. When it returns an error, this replica knows and
// those that hear the messages do; the others may not. One id that fails does
// not keep the next from its end.
func (e *Endings) End(ctx context.Context, ids ...string) error {
	at := strconv.FormatInt(e.now().Unix(), 10)
	var errs []error
	for _, id := range ids {
		e.learn(id)
		errs = append(errs, e.store.Put(ctx, markOf(id).key(), []byte(at), e.lifeOf(id)))
		if err := e.store.Publish(ctx, []byte(e.self+" "+id)); err != nil {
			e.log.Warn().Err(err).Msg("an ending was not announced; replicas learn of it at their next look")
		}
	}
	return errors.Join(errs...)
}

// lifeOf a tombstone: of a session of ours its own; of all else that of the
// longest family of tokens, for each can be renewed until then.
func (e *Endings) lifeOf(id string) time.Duration {
	if IsOwn(id) {
		return e.own
	}
	return max(e.own, e.tokens)
}

// mark stands for an id, and takes the same room for each: the provider and its
// clients choose how long an id is.
type mark [sha256.Size]byte

func markOf(id string) mark { return sha256.Sum256([]byte(id)) }

// key is the tombstone's in the store.
func (m mark) key() string { return kindEnded + ":" + hex.EncodeToString(m[:]) }

// hear learns what another replica announced. What this one announced it knows.
func (e *Endings) hear(message string) {
	from, id, ok := strings.Cut(message, " ")
	if !ok || from == e.self {
		return
	}
	e.learn(id)
}

func (e *Endings) learn(id string) {
	now := e.now()
	e.mu.Lock()
	if len(e.local) >= maxLocalEndings {
		clear(e.local) // a cache of the store's tombstones: nothing is lost
	}
	e.local[markOf(id)] = now
	e.mu.Unlock()
	for _, fn := range e.fns {
		fn(id)
	}
}

// Ended returns those of the ids that have ended, with the time at which. With
// an error it returns what is known here. A session ends once, so what is known
// of it is not asked again; a user can be ended again, by another replica.
func (e *Endings) Ended(ctx context.Context, ids ...string) (map[string]time.Time, error) {
	ended := map[string]time.Time{}
	var ask, keys []string
	e.mu.Lock()
	for _, id := range ids {
		m := markOf(id)
		if at, ok := e.local[m]; ok {
			if ended[id] = at; !strings.HasPrefix(id, userPrefix) {
				continue
			}
		}
		ask, keys = append(ask, id), append(keys, m.key())
	}
	e.mu.Unlock()
	if len(ask) == 0 {
		return ended, nil
	}
	values, err := e.store.Get(ctx, keys...)
	if err != nil {
		return ended, err
	}
	for i, v := range values {
		if v == nil {
			continue
		}
		sec, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			sec = e.now().Unix() // unreadable: closed
		}
		if at := time.Unix(sec, 0); at.After(ended[ask[i]]) {
			ended[ask[i]] = at
		}
	}
	return ended, nil
}

// Run listens to the other replicas until ctx ends, and comes back after a
// lost connection.
func (e *Endings) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := e.store.Subscribe(ctx, func(m []byte) { e.hear(string(m)) })
		if ctx.Err() != nil {
			return
		}
		e.log.Warn().Err(err).Msg("endings of other replicas are not heard; subscribing again")
		select {
		case <-ctx.Done():
		case <-time.After(resubscribe):
		}
	}
}
