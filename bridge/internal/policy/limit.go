package policy

import (
	"math"
	"sync"
	"time"
)

// limit is what a rule grants to each user and tool.
type limit struct {
	rule      string
	perMinute int
	inFlight  int
}

const (
	maxBucketsPerUser = 256 // a glob covers names that a client can invent
	maxLimitedUsers   = 65536
	idleBucket        = time.Minute // after which a bucket is full again
)

// Limits counts calls for each user, rule and item. It outlives a policy, so
// that a reload does not reset what was used. It is safe for concurrent use.
type Limits struct {
	now   func() time.Time
	mu    sync.Mutex
	users map[string]map[bucketKey]*bucket
}

type bucketKey struct {
	rule   string
	target target
}

type bucket struct {
	tokens   float64
	at       time.Time
	inFlight int
}

// NewLimits counts with the given clock.
func NewLimits(now func() time.Time) *Limits {
	return &Limits{now: now, users: map[string]map[bucketKey]*bucket{}}
}

// Take counts an allowed call. It returns the decision, now Limited where the
// limit is used up, how long to wait before another try (0: until a call in
// flight ends), and what must be called once when the call has ended; nil where
// nothing was counted.
func (l *Limits) Take(d Decision, user, server string, kind Kind, name string) (Decision, time.Duration, func()) {
	if d.Outcome != Allowed || d.limit == nil {
		return d, 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.bucket(user, bucketKey{d.limit.rule, target{server, kind, name}}, d.limit, now)
	if b == nil {
		d.Outcome = Limited
		return d, idleBucket, nil
	}
	wait, ok := b.take(d.limit, now)
	if !ok {
		d.Outcome = Limited
		return d, wait, nil
	}
	return d, 0, sync.OnceFunc(func() {
		l.mu.Lock()
		b.inFlight--
		l.mu.Unlock()
	})
}

// Room is what Take would say of a call now; it counts nothing.
func (l *Limits) Room(d Decision, user, server string, kind Kind, name string) (Decision, time.Duration) {
	if d.Outcome != Allowed || d.limit == nil {
		return d, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.users[user][bucketKey{d.limit.rule, target{server, kind, name}}]
	if b == nil {
		return d, 0
	}
	tried := *b
	wait, ok := tried.take(d.limit, l.now())
	if !ok {
		d.Outcome = Limited
	}
	return d, wait
}

// take refills by the time that has passed, then takes one.
func (b *bucket) take(limit *limit, now time.Time) (time.Duration, bool) {
	if limit.inFlight > 0 && b.inFlight >= limit.inFlight {
		return 0, false
	}
	if limit.perMinute > 0 {
		perSecond := float64(limit.perMinute) / 60
		b.tokens = math.Min(float64(limit.perMinute), b.tokens+now.Sub(b.at).Seconds()*perSecond)
		b.at = now
		if b.tokens < 1 {
			return time.Duration((1 - b.tokens) / perSecond * float64(time.Second)), false
		}
		b.tokens--
	}
	b.at = now
	b.inFlight++
	return 0, true
}

// bucket finds or makes the bucket; nil where there are too many, which
// refuses the call.
func (l *Limits) bucket(user string, key bucketKey, limit *limit, now time.Time) *bucket {
	buckets := l.users[user]
	if b := buckets[key]; b != nil {
		return b
	}
	if buckets == nil {
		if len(l.users) >= maxLimitedUsers && !l.sweepUsers(now) {
			return nil
		}
		buckets = map[bucketKey]*bucket{}
		l.users[user] = buckets
	}
	if len(buckets) >= maxBucketsPerUser && !sweep(buckets, now) {
		return nil
	}
	b := &bucket{tokens: float64(limit.perMinute), at: now}
	buckets[key] = b
	return b
}

// sweep forgets the buckets that say nothing any more, and reports whether
// there were any.
func sweep(buckets map[bucketKey]*bucket, now time.Time) bool {
	before := len(buckets)
	for key, b := range buckets {
		if b.inFlight == 0 && now.Sub(b.at) >= idleBucket {
			delete(buckets, key)
		}
	}
	return len(buckets) < before
}

func (l *Limits) sweepUsers(now time.Time) bool {
	before := len(l.users)
	for user, buckets := range l.users {
		sweep(buckets, now)
		if len(buckets) == 0 {
			delete(l.users, user)
		}
	}
	return len(l.users) < before
}
