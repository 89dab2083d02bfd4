package session_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
)

// A user is ended twice, and the second message does not reach the replica that
// heard the first: the store knows better than what was heard.
func TestUserEndedAgain(t *testing.T) {
	clock := time.Unix(1e9, 0)
	now := func() time.Time { return clock }
	store := memstore.New(now, 0)
	here := session.NewEndings(store, time.Hour, time.Hour, now, zerolog.Nop())
	there := session.NewEndings(store, time.Hour, time.Hour, now, zerolog.Nop()) // hears nothing
	user := session.UserEnding("alice")
	for range 2 {
		if err := here.End(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		for name, e := range map[string]*session.Endings{"this replica": here, "the other": there} {
			ended, err := e.Ended(t.Context(), user)
			if err != nil || !ended[user].Equal(clock) {
				t.Errorf("%s: ended at %s, %v; want %s", name, ended[user], err, clock)
			}
		}
		clock = clock.Add(time.Minute)
		here, there = there, here // the next ending is made by the other
	}
}

// full takes no value, as a Redis at maxmemory does; messages pass.
type full struct {
	session.Store
	mu    sync.Mutex
	heard []string
}

func (*full) Put(context.Context, string, []byte, time.Duration) error { return session.ErrFull }

func (f *full) Publish(_ context.Context, m []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, string(m))
	return nil
}

// Where no tombstone can be written, the replicas that listen still learn of
// every id.
func TestEndingsAreAnnouncedByAFullStore(t *testing.T) {
	store := &full{Store: memstore.New(time.Now, 0)}
	e := session.NewEndings(store, time.Hour, time.Hour, time.Now, zerolog.Nop())
	if err := e.End(t.Context(), "a", "b"); !errors.Is(err, session.ErrFull) {
		t.Errorf("End = %v, want that the store is full", err)
	}
	if len(store.heard) != 2 {
		t.Errorf("announced %q, want a and b", store.heard)
	}
	if ended, err := e.Ended(t.Context(), "a", "b"); err != nil || len(ended) != 2 {
		t.Errorf("ended = %v, %v; want a and b", ended, err)
	}
}

// Whatever ends, and however long its id is, takes the same room here.
func TestAnEndingIsKeptInTheSameRoomWhateverItsID(t *testing.T) {
	const endings, long = 2000, 16 << 10
	e := session.NewEndings(memstore.New(time.Now, 0), time.Hour, time.Hour, time.Now, zerolog.Nop())
	before := held()
	for i := range endings {
		if err := e.End(t.Context(), fmt.Sprint(strings.Repeat("x", long), i)); err != nil {
			t.Fatal(err)
		}
	}
	if more := held() - before; more > endings*long/4 {
		t.Errorf("%d endings hold %d bytes, %d of each", endings, more, more/endings)
	}
	if ended, err := e.Ended(t.Context(), fmt.Sprint(strings.Repeat("x", long), 7)); err != nil || len(ended) != 1 {
		t.Errorf("one of them: %d, %v", len(ended), err)
	}
}

// held is what lives on the heap.
func held() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
