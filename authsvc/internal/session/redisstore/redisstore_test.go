package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/redisstore"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/authsvc/internal/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	sessiontest.Run(t,
		func(t *testing.T) session.Store { return open(t, redistest.Start(t).URL) },
		func(d time.Duration) { <-time.After(d) }) // Redis keeps its own clock
}

func TestHungRedisCostsAtMostASecond(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL)
	if ok, err := s.Swap(t.Context(), "k", nil, []byte("one"), time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	server.Freeze()
	start := time.Now()
	_, err := s.Get(t.Context(), "k")
	if took := time.Since(start); !errors.Is(err, session.ErrUnavailable) || took > time.Second {
		t.Errorf("Get = %v after %s, want ErrUnavailable within 1s", err, took)
	}
	start = time.Now()
	_, err = s.Get(t.Context(), "k")
	if took := time.Since(start); !errors.Is(err, session.ErrUnavailable) || took > 50*time.Millisecond {
		t.Errorf("the next caller = %v after %s, want it refused at once", err, took)
	}
	server.Thaw()
	waitValue(t, s, "one")
}

// waitValue waits until the store answers, and wants the value in its answer.
func waitValue(t *testing.T, s *redisstore.Store, want string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; <-time.After(10 * time.Millisecond) {
		got, err := s.Get(t.Context(), "k")
		if err == nil {
			if string(got[0]) != want {
				t.Errorf("the value is %q after the thaw, want %q", got[0], want)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the store does not come back: %v", err)
		}
	}
}

func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "localhost:6379", "http://x", "redis+magic://x", "redis://:hunter2@[bad"} {
		s, err := redisstore.Open(url)
		if err == nil {
			_ = s.Close()
			t.Errorf("%q was accepted", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
