// Package sessiontest is the suite that every session.Store must pass.
package sessiontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/authsvc/internal/session"
)

const patience = time.Minute

// Run checks a store. newStore makes one that holds none of its keys, pass lets time pass for it.
func Run(t *testing.T, newStore func(t *testing.T) session.Store, pass func(time.Duration)) {
	for name, test := range map[string]func(*testing.T, session.Store){
		"get": testGet, "swap": testSwap, "oneWinner": testOneWinner, "publish": testPublish,
	} {
		t.Run(name, func(t *testing.T) { test(t, newStore(t)) })
	}
	t.Run("lapse", func(t *testing.T) { testLapse(t, newStore(t), pass) })
}

// again repeats what a store answers to by ErrUnavailable: a busy machine keeps it
// waiting, and it is out of reach for a moment then.
func again(op func() error) error {
	for begin := time.Now(); ; <-time.After(50 * time.Millisecond) {
		err := op()
		away := errors.Is(err, session.ErrUnavailable) && !errors.Is(err, session.ErrFull)
		if !away || time.Since(begin) > patience {
			return err
		}
	}
}

// Get is the store's, again while it is out of reach.
func Get(ctx context.Context, s session.Store, keys ...string) (got [][]byte, err error) {
	err = again(func() error {
		got, err = s.Get(ctx, keys...)
		return err
	})
	return got, err
}

// Put is the store's, again while it is out of reach.
func Put(ctx context.Context, s session.Store, key string, value []byte, ttl time.Duration) error {
	return again(func() error { return s.Put(ctx, key, value, ttl) })
}

// Swap is the store's, again while it is out of reach. One that was out of reach
// may have swapped all the same: what is there then shows.
func Swap(ctx context.Context, s session.Store, key string, old, new []byte, ttl time.Duration) (ok bool, err error) {
	tries := 0
	err = again(func() error {
		tries++
		ok, err = s.Swap(ctx, key, old, new, ttl)
		return err
	})
	if err != nil || ok || tries == 1 {
		return ok, err
	}
	got, err := Get(ctx, s, key)
	return err == nil && same(got[0], new), err
}

// same tells whether two values are one; nil, for none, is not the empty one.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func want(t *testing.T, s session.Store, key string, value []byte) {
	t.Helper()
	got, err := Get(t.Context(), s, key)
	if err != nil || !same(got[0], value) {
		t.Errorf("Get(%q) = %q, %v; want %q", key, got, err, value)
	}
}

func swapped(t *testing.T, s session.Store, key string, old, new []byte) bool {
	t.Helper()
	ok, err := Swap(t.Context(), s, key, old, new, time.Hour)
	if err != nil {
		t.Fatalf("Swap(%q): %v", key, err)
	}
	return ok
}

func testGet(t *testing.T, s session.Store) {
	binary := []byte{0, 1, 255, '\r', '\n'}
	if err := Put(t.Context(), s, "a", binary, time.Hour); err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", binary)
	want(t, s, "none", nil)
	got, err := Get(t.Context(), s, "none", "a", "none2")
	if err != nil || got[0] != nil || !bytes.Equal(got[1], binary) || got[2] != nil {
		t.Errorf("Get of three = %q, %v", got, err)
	}
}

func testSwap(t *testing.T, s session.Store) {
	one, two := []byte("one"), []byte("two")
	if swapped(t, s, "k", one, two) {
		t.Error("swapped a value that was not there")
	}
	if !swapped(t, s, "k", nil, one) || swapped(t, s, "k", nil, two) {
		t.Error("nil must stand for no value, and only for that")
	}
	want(t, s, "k", one)
	if swapped(t, s, "k", two, nil) || !swapped(t, s, "k", one, two) {
		t.Error("only the value that is there may be swapped")
	}
	if !swapped(t, s, "k", two, nil) {
		t.Error("a nil new value must remove")
	}
	want(t, s, "k", nil)
}

func testOneWinner(t *testing.T, s session.Store) {
	const callers = 50
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			mine := fmt.Append(nil, i)
			ok, err := Swap(t.Context(), s, "lease", nil, mine, 10*patience)
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d callers won, want 1", won.Load())
	}
}

func testPublish(t *testing.T, s session.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	heard := make(chan string, 100)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Subscribe(ctx, func(m []byte) { heard <- string(m) }) })
	defer wg.Wait()
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond) // subscribing takes a moment
	defer tick.Stop()
	for {
		select {
		case m := <-heard:
			if m != "over" {
				t.Errorf("heard %q", m)
			}
			return
		case <-tick.C:
			if err := again(func() error { return s.Publish(ctx, []byte("over")) }); err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatal("the message was not heard")
		}
	}
}

func testLapse(t *testing.T, s session.Store, pass func(time.Duration)) {
	const life = 50 * time.Millisecond
	if err := Put(t.Context(), s, "short", []byte("x"), life); err != nil {
		t.Fatal(err)
	}
	if err := Put(t.Context(), s, "long", []byte("y"), time.Hour); err != nil {
		t.Fatal(err)
	}
	pass(2 * life)
	want(t, s, "short", nil)
	want(t, s, "long", []byte("y"))
	if !swapped(t, s, "short", nil, []byte("z")) {
		t.Error("a lapsed value must count as none")
	}
}
