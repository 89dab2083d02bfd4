package memstore_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/authsvc/internal/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	var shift atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	sessiontest.Run(t,
		func(*testing.T) session.Store { return memstore.New(now, 0) },
		func(d time.Duration) { shift.Add(int64(d)) })
}

func TestStoreFull(t *testing.T) {
	now := time.Now()
	s := memstore.New(func() time.Time { return now }, 2)
	for _, key := range []string{"a", "b"} {
		if ok, err := s.Swap(t.Context(), key, nil, []byte("v"), time.Minute); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if _, err := s.Swap(t.Context(), "c", nil, []byte("v"), time.Minute); !errors.Is(err, session.ErrFull) {
		t.Errorf("err = %v, want ErrFull", err)
	}
	if err := s.Put(t.Context(), "ended", []byte("v"), time.Minute); err != nil {
		t.Errorf("a revocation found no room: %v", err)
	}
	if got, _ := s.Get(t.Context(), "a"); got[0] == nil {
		t.Error("a full store dropped what it held")
	}
	now = now.Add(time.Hour)
	if ok, err := s.Swap(t.Context(), "c", nil, []byte("v"), time.Minute); !ok || err != nil {
		t.Errorf("lapsed values still fill the store: %v", err)
	}
}
