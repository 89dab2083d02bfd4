package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/test/soak/internal/caller"
	"gatehouse/test/stack"
)

// life is one caller that opens, calls, judges, and comes back.
type life struct {
	number int
	era    caller.Era
	user   *caller.User
	client caller.Client
	rng    *rand.Rand
	pause  time.Duration // between two calls, on average

	good   atomic.Int64 // when its last good call began, in ns of the epoch
	stream atomic.Pointer[stream]
}

type stream struct{ ended <-chan struct{} }

// crowd is all callers.
type crowd struct {
	lives   []*life
	weather *weather
	book    *book
	stop    context.CancelFunc
	done    sync.WaitGroup
}

const (
	patience    = 60 * time.Second // with one answer: longer than any fault holds
	callsASec   = 2.5              // of one user, half of what nginx grants
	browserPart = 5                // one user in so many has a browser's cookie
)

// gather makes the users and their callers; start lets them go.
func gather(ctx context.Context, gate *stack.Stack, o options, w *weather, b *book) (*crowd, error) {
	c := &crowd{weather: w, book: b}
	users := max(2, o.sessions/o.each)
	people := make([]*caller.User, users)
	for i := range people {
		var err error
		if people[i], err = caller.NewUser(ctx, gate, fmt.Sprintf("soak-%d", i), i%browserPart == browserPart-1); err != nil {
			return nil, err
		}
	}
	eras := caller.Eras()
	for n := range o.sessions {
		user := people[n%users]
		era := eras[(n/users+n%users)%len(eras)] // each user has several
		c.lives = append(c.lives, &life{
			number: n + 1, era: era, user: user, client: caller.New(era, user, n+1),
			rng:   rand.New(rand.NewPCG(o.seed, uint64(n))), //nolint:gosec // the seed is the point
			pause: time.Duration(float64(o.sessions) / float64(users) / callsASec * float64(time.Second)),
		})
	}
	return c, nil
}

func (c *crowd) start(ctx context.Context) {
	ctx, c.stop = context.WithCancel(ctx)
	for _, l := range c.lives {
		c.done.Go(func() { c.live(ctx, l) })
	}
}

// end lets all calls under way finish, and closes every session.
func (c *crowd) end() {
	c.stop()
	c.done.Wait()
}

// live goes on until ctx ends.
func (c *crowd) live(ctx context.Context, l *life) {
	open := false
	defer func() { l.client.Close() }()
	for seq := 1; ; seq++ {
		if !sleep(ctx, time.Duration(float64(l.pause)*(0.5+l.rng.Float64()))) {
			return
		}
		if !open {
			// What began is finished, so that its outcome is seen: not ctx.
			if open = c.exchange(l, "open", func(ctx context.Context) error {
				if err := l.user.Ready(ctx); err != nil {
					return err
				}
				return l.client.Open(ctx)
			}) == nil; !open {
				l.client.Close()
				continue
			}
			l.stream.Store(&stream{l.client.Stream()})
		}
		ask := caller.NewAsk(l.rng, l.user.Email, l.number, seq)
		began := time.Now()
		err := c.exchange(l, ask.Tool, func(ctx context.Context) error {
			reply, err := l.client.Call(ctx, ask)
			if err != nil {
				return err
			}
			return ask.Judge(reply, l.era != caller.SDK && l.era != caller.SDKSSE)
		})
		l.stream.Store(&stream{l.client.Stream()})
		switch {
		case err == nil:
			l.good.Store(began.UnixNano())
		case over(err):
			l.client.Close()
			open = false
		}
	}
}

// over tells whether a session is to be opened anew after this failure: 404 says
// so, a stream that is gone, and a caller who was signed out.
func over(err error) bool {
	var refused *caller.Refused
	if errors.As(err, &refused) {
		return refused.Status == 404 || refused.Status == 401 || refused.Status == 0
	}
	return true
}

// exchange does one thing and enters what came of it; a refusal that asks for
// patience gets it.
func (c *crowd) exchange(l *life, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	from := time.Now()
	err := do(ctx)
	to := time.Now()
	outcome, broken := c.weather.judge(err, l.user.Name, from, to)
	c.book.enter(string(l.era), outcome)
	if broken != "" {
		kinds, _ := c.weather.during(l.user.Name, from, to)
		c.book.breach(fmt.Sprintf("%s: caller %d (%s, %s) %s, %.1f s from %s, weather %q: %v",
			broken, l.number, l.era, l.user.Name, what, to.Sub(from).Seconds(), from.Format("15:04:05.000"), kinds, err))
	}
	var refused *caller.Refused
	if errors.As(err, &refused) && refused.Retry > 0 {
		sleep(ctx, min(refused.Retry, time.Second))
	}
	return err
}

// recovered waits until every caller has had a good answer to a call that began
// after since.
func (c *crowd) recovered(ctx context.Context, since time.Time, within time.Duration) (late []*life) {
	for end := time.Now().Add(within); ; {
		late = nil
		for _, l := range c.lives {
			if l.good.Load() < since.UnixNano() {
				late = append(late, l)
			}
		}
		if len(late) == 0 || time.Now().After(end) || !sleep(ctx, 50*time.Millisecond) {
			return late
		}
	}
}

// signOut ends all that a user has, and returns how long the last of the user's
// streams was open after that.
func (c *crowd) signOut(ctx context.Context, user *caller.User) (took time.Duration, streams int, err error) {
	var open []<-chan struct{}
	for _, l := range c.lives {
		if s := l.stream.Load(); l.user == user && s != nil && s.ended != nil {
			open = append(open, s.ended)
		}
	}
	began := time.Now()
	if err := user.Logout(ctx); err != nil {
		return 0, 0, err
	}
	for _, ended := range open {
		select {
		case <-ended:
		case <-time.After(time.Until(began.Add(patience))):
			return time.Since(began), len(open), nil
		}
	}
	return time.Since(began), len(open), nil
}

// sleep is false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
