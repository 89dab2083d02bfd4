package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/redisstore"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/authsvc/internal/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

func open(t *testing.T, url string) *redisstore.Store { t.Helper(); return openTLS(t, url, nil) }

func openTLS(t *testing.T, url string, ca []byte) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url, ca)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (url string, ca []byte){
		"single":   func(t *testing.T) (string, []byte) { return redistest.Start(t).URL, nil },
		"acl":      func(t *testing.T) (string, []byte) { return redistest.StartACL(t).URL, nil },
		"tls":      func(t *testing.T) (string, []byte) { s := redistest.StartTLS(t); return s.URL, s.CA },
		"sentinel": func(t *testing.T) (string, []byte) { return redistest.StartSentinel(t).URL, nil },
		"cluster":  func(t *testing.T) (string, []byte) { return redistest.StartCluster(t), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, ca := start(t) // one for the suite: its tests share no key
			sessiontest.Run(t,
				func(t *testing.T) session.Store { return openTLS(t, url, ca) },
				func(d time.Duration) { <-time.After(d) }) // Redis keeps its own clock
		})
	}
}

func TestUnknownAuthorityIsRefused(t *testing.T) {
	s := open(t, redistest.StartTLS(t).URL)
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		_, err := s.Get(t.Context(), "k")
		if errors.Is(err, session.ErrUnavailable) && strings.Contains(err.Error(), "unknown authority") {
			return
		}
		if err == nil || time.Now().After(end) { // a busy machine can run into the limit of time first
			t.Fatalf("Get = %v, want the certificate refused", err)
		}
	}
}

// The master dies; the sentinel makes the replica the master.
func TestFailover(t *testing.T) {
	servers := redistest.StartSentinel(t)
	s := open(t, servers.URL)
	if ok, err := sessiontest.Swap(t.Context(), s, "k", nil, []byte("one"), time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	master, replica := servers.Roles()
	waitValue(t, open(t, replica.URL), "one") // it has the value before the master is lost
	master.Stop()
	begin := time.Now()
	if ok, err := sessiontest.Swap(t.Context(), s, "k", []byte("one"), []byte("two"), time.Hour); !ok || err != nil {
		t.Fatalf("the value was swapped: %v, %v; want it kept in the failover", ok, err)
	}
	t.Logf("writable again %s after the master's death", time.Since(begin).Round(10*time.Millisecond))
	if now, _ := servers.Roles(); now != replica {
		t.Error("the sentinel names the master that died")
	}
}

func TestFullRedis(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL)
	if err := sessiontest.Put(t.Context(), s, "k", []byte("one"), time.Hour); err != nil {
		t.Fatal(err)
	}
	server.Fill()
	if err := sessiontest.Put(t.Context(), s, "other", []byte("x"), time.Hour); !errors.Is(err, session.ErrFull) {
		t.Errorf("Put = %v, want ErrFull", err)
	}
	if _, err := sessiontest.Swap(t.Context(), s, "third", nil, []byte("x"), time.Hour); !errors.Is(err, session.ErrFull) {
		t.Errorf("Swap = %v, want ErrFull", err)
	}
	waitValue(t, s, "one")
	server.Drain()
	if err := sessiontest.Put(t.Context(), s, "other", []byte("x"), time.Hour); err != nil {
		t.Errorf("Put = %v with room again", err)
	}
}

// Sessions have filled Redis. What is ended now must find room all the same.
func TestRevocationHasRoom(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	listening.Go(func() { _ = s.Subscribe(ctx, func([]byte) {}) })
	defer listening.Wait()
	defer cancel()
	for end := time.Now().Add(2 * patience); ; <-time.After(10 * time.Millisecond) { // a second try comes after a minute
		if got, err := s.Get(t.Context(), "ballast"); err == nil && got[0] != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("there is no ballast")
		}
	}
	server.Limit(64 << 10)
	for i := 0; ; i++ {
		_, err := sessiontest.Swap(t.Context(), s, fmt.Sprint("session", i), nil, make([]byte, 4<<10), time.Hour)
		if errors.Is(err, session.ErrFull) {
			break
		}
		if err != nil || i > 1000 {
			t.Fatal(i, err)
		}
	}
	for i := range 20 {
		if err := sessiontest.Put(t.Context(), s, fmt.Sprint("ended", i), []byte("1"), time.Hour); err != nil {
			t.Fatalf("mark %d of an ending: %v", i, err)
		}
	}
}

func TestHungRedisCostsAtMostASecond(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL)
	if ok, err := sessiontest.Swap(t.Context(), s, "k", nil, []byte("one"), time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	server.Freeze()
	get := func() time.Duration {
		start := time.Now()
		if _, err := s.Get(t.Context(), "k"); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("Get = %v, want ErrUnavailable", err)
		}
		return time.Since(start)
	}
	const atOnce = 50 * time.Millisecond
	first, next := get(), get()
	for try := 0; try < 5 && (first > time.Second || next > atOnce); try++ { // the machine was busy meanwhile
		<-time.After(time.Second / 4) // refused at once no more
		first, next = get(), get()
	}
	if first > time.Second || next > atOnce {
		t.Errorf("a caller waited %s, the next one %s; want 1 s, and refused at once", first, next)
	}
	server.Thaw()
	waitValue(t, s, "one")
}

// waitValue waits until the store answers with the value.
func waitValue(t *testing.T, s *redisstore.Store, want string) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		got, err := s.Get(t.Context(), "k")
		if err == nil && string(got[0]) == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the store answers %q, %v; want %q", got, err, want)
		}
	}
}

func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "localhost:6379", "http://x", "redis+magic://x", "redis://:hunter2@[bad"} {
		s, err := redisstore.Open(url, nil)
		if err == nil {
			_ = s.Close()
			t.Errorf("%q was accepted", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
