// Package redisstore is a session.Store on Redis: one server, Sentinel or
// Cluster, over TCP, TLS or a unix socket.
//
// It must never know what it stores, and it never lets a caller wait longer
// than its deadline: a Redis that hangs costs each caller at most opLimit, and
// those who come right after a failure nothing.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/authsvc/internal/session"
)

const (
	opLimit  = 800 * time.Millisecond // of one operation
	coolDown = 200 * time.Millisecond // after one that ran into it
	prefix   = "gatehouse:"

	ballastKey   = prefix + "ballast"
	ballastBytes = 256 << 10
	ballastLife  = 24 * time.Hour
	ballastEvery = time.Minute

	channel   = prefix + "endings"
	pingEvery = 2 * time.Second // of an idle subscription, to notice a lost one
)

// swap compares and sets in one step. ARGV: is there an old value, the old
// value, is there a new one, the new one, ttl in ms.
var swap = redis.NewScript(`
local have = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
  if have then return 0 end
elseif have ~= ARGV[2] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
end
return 1`)

// Store is safe for concurrent use.
type Store struct {
	client  redis.UniversalClient
	hangsTo atomic.Int64 // until then callers are refused at once, unix ns
}

// Close ends the connections.
func (s *Store) Close() error { return s.client.Close() }

// Ping reports whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// do gives op its deadline and maps its error.
func (s *Store) do(ctx context.Context, op func(context.Context) error) error {
	if time.Now().UnixNano() < s.hangsTo.Load() {
		return fmt.Errorf("%w: it did not answer a moment ago", session.ErrUnavailable)
	}
	opCtx, cancel := context.WithTimeout(ctx, opLimit)
	defer cancel()
	err := op(opCtx)
	if err == nil {
		return nil
	}
	if opCtx.Err() != nil && ctx.Err() == nil {
		s.hangsTo.Store(time.Now().Add(coolDown).UnixNano())
	}
	if redis.HasErrorPrefix(err, "OOM") { // maxmemory is reached, and the policy is noeviction
		return fmt.Errorf("%w: %w", session.ErrFull, err)
	}
	for _, refusal := range []string{"NOAUTH", "WRONGPASS", "NOPERM"} {
		if redis.HasErrorPrefix(err, refusal) {
			return fmt.Errorf("%w: %w", session.ErrPassword, err)
		}
	}
	return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
}

// Get implements session.Store. Keys may lie in different slots of a cluster,
// so it is a pipeline and not an MGET.
func (s *Store) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	err := s.do(ctx, func(ctx context.Context) error {
		if len(keys) == 1 {
			var err error
			values[0], err = found(s.client.Get(ctx, prefix+keys[0]))
			return err
		}
		pipe := s.client.Pipeline()
		cmds := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			cmds[i] = pipe.Get(ctx, prefix+key)
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		for i, cmd := range cmds {
			var err error
			if values[i], err = found(cmd); err != nil {
				return err
			}
		}
		return nil
	})
	return values, err
}

func found(cmd *redis.StringCmd) ([]byte, error) {
	value, err := cmd.Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return value, err
}

// Put implements session.Store. Where Redis is full it throws the ballast out.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	set := func(ctx context.Context) error {
		return s.client.Set(ctx, prefix+key, value, max(ttl, time.Millisecond)).Err()
	}
	err := s.do(ctx, set)
	if !errors.Is(err, session.ErrFull) {
		return err
	}
	if err := s.do(ctx, func(ctx context.Context) error { return s.client.Del(ctx, ballastKey).Err() }); err != nil {
		return err
	}
	return s.do(ctx, set)
}

// ballast keeps room for Put: a value that can be thrown out. It is asked for
// again and again, and written where it is not there. In a cluster it lies on
// one of the nodes, and only that one has the room.
func (s *Store) ballast(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context) error {
		return swap.Run(ctx, s.client, []string{ballastKey}, "0", "", "1", make([]byte, ballastBytes),
			ballastLife.Milliseconds()).Err()
	})
}

// Swap implements session.Store.
func (s *Store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	var n int64
	err := s.do(ctx, func(ctx context.Context) error {
		var err error
		n, err = swap.Run(ctx, s.client, []string{prefix + key},
			there(old), old, there(new), new, max(ttl, time.Millisecond).Milliseconds()).Int64()
		return err
	})
	return n == 1, err
}

func there(value []byte) string {
	if value == nil {
		return "0"
	}
	return "1"
}

// Publish implements session.Store.
func (s *Store) Publish(ctx context.Context, message []byte) error {
	return s.do(ctx, func(ctx context.Context) error { return s.client.Publish(ctx, channel, message).Err() })
}

// Subscribe implements session.Store.
func (s *Store) Subscribe(ctx context.Context, fn func([]byte)) error {
	sub := s.client.Subscribe(ctx, channel)
	hangUp := func() { _ = sub.Close() } // a read under way knows no context
	defer hangUp()
	defer context.AfterFunc(ctx, hangUp)()
	ballast := time.Time{}
	for waiting := false; ; {
		if now := time.Now(); now.Sub(ballast) >= ballastEvery {
			ballast = now
			_ = s.ballast(ctx) // a full or a hung Redis has none: the next minute
		}
		m, err := sub.ReceiveTimeout(ctx, pingEvery)
		switch m := m.(type) {
		case *redis.Message:
			fn([]byte(m.Payload))
		}
		if err == nil {
			waiting = false
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if waiting || !timedOut(err) || sub.Ping(ctx) != nil {
			return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
		}
		waiting = true
	}
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
