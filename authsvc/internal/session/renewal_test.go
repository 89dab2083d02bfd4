package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

// service is a Sessions over a store, with a clock of the test's.
func service(store session.Store, now func() time.Time) *session.Sessions {
	return &session.Sessions{
		Store: store, Box: session.NewBox([]byte("secret"), "index"), Now: now, Log: zerolog.Nop(),
		Endings: session.NewEndings(store, time.Hour, time.Hour, now, zerolog.Nop()),
		Ages:    session.Ages{Absolute: time.Hour, Idle: time.Hour, Grace: time.Minute, Tokens: time.Hour},
	}
}

func grantOf(subject string, end time.Time, refresh string) session.Grant {
	return session.Grant{
		Identity:     contract.Identity{Subject: subject, SessionID: "kc", Expires: end},
		RefreshToken: refresh,
	}
}

// away is a store that can be out of reach for whoever writes.
type away struct {
	session.Store
	mu    sync.Mutex
	until time.Time
}

func (a *away) leave(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = time.Now().Add(d)
}

func (a *away) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	a.mu.Lock()
	gone := time.Now().Before(a.until)
	a.mu.Unlock()
	if gone {
		return false, session.ErrUnavailable
	}
	return a.Store.Swap(ctx, key, old, new, ttl)
}

// rotating gives each refresh token once, as a provider that rotates does, and
// takes the store away at that very moment.
type rotating struct {
	store *away
	asked atomic.Int32
}

func (r *rotating) Refresh(context.Context, string) (session.Grant, error) {
	n := r.asked.Add(1)
	r.store.leave(300 * time.Millisecond)
	return grantOf("alice", time.Now().Add(time.Hour), fmt.Sprint("rotated-", n)), nil
}

// The provider has rotated the refresh token, and the store is out of reach for
// a moment: the new one must not be lost, or the user is signed out.
func TestRotatedTokenOutlivesAnOutage(t *testing.T) {
	store := &away{Store: memstore.New(time.Now, 0)}
	s := service(store, time.Now)
	provider := &rotating{store: store}
	s.Refresher = provider
	secret, _, err := s.Create(
		t.Context(),
		grantOf("alice", time.Now().Add(time.Second), "first"),
		session.Browser{Since: time.Now()},
	)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		sess, err := s.Lookup(t.Context(), secret)
		if errors.Is(err, session.ErrNoSession) {
			t.Fatal("the session was lost")
		}
		if err == nil && sess.RefreshToken == "rotated-1" {
			return
		}
		if provider.asked.Load() > 1 || time.Now().After(end) {
			t.Fatalf("asked the provider %d times; the session holds %q, %v", provider.asked.Load(), sess.RefreshToken, err)
		}
	}
}

// A logout comes between the provider's yes and the session that is made of it.
func TestLogoutBeforeItsSession(t *testing.T) {
	for name, end := range map[string]func(context.Context, *session.Sessions) error{
		"of the provider's session": func(ctx context.Context, s *session.Sessions) error { return s.EndProvider(ctx, "kc", "alice") },
		"of the user":               func(ctx context.Context, s *session.Sessions) error { return s.EndUser(ctx, "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			clock := time.Unix(1e9, 0)
			s := service(memstore.New(func() time.Time { return clock }, 0), func() time.Time { return clock })
			since := clock
			clock = clock.Add(2 * time.Second)
			if err := end(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			secret, _, err := s.Create(t.Context(), grantOf("alice", clock.Add(time.Minute), "r"), session.Browser{Since: since})
			if !errors.Is(err, session.ErrNoSession) {
				t.Errorf("Create = %v, want ErrNoSession", err)
			}
			if _, err := s.Lookup(t.Context(), secret); !errors.Is(err, session.ErrNoSession) {
				t.Errorf("Lookup = %v, want ErrNoSession", err)
			}
			clock = clock.Add(2 * time.Second) // and who comes after it is let in
			if _, _, err := s.Create(t.Context(), grantOf("alice", clock.Add(time.Minute), "r"), session.Browser{Since: clock}); err != nil {
				t.Errorf("the next sign-in: %v", err)
			}
		})
	}
}

// between signs somebody in right after a user's list was read.
type between struct {
	session.Store
	signIn func()
}

func (b *between) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	values, err := b.Store.Get(ctx, keys...)
	if signIn := b.signIn; signIn != nil && len(keys) == 1 && strings.HasPrefix(keys[0], "user:") {
		b.signIn = nil
		signIn()
	}
	return values, err
}

// A sign-in that began before its user's end is made and listed while the list
// of what to end has been read already: it ends as well.
func TestLogoutThatHasReadTheList(t *testing.T) {
	for name, end := range map[string]func(context.Context, *session.Sessions) error{
		"of the provider's session": func(ctx context.Context, s *session.Sessions) error {
			return s.EndProvider(ctx, "kc", "alice")
		},
		"of the user": func(ctx context.Context, s *session.Sessions) error { return s.EndUser(ctx, "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			now := func() time.Time { return time.Unix(1e9, 0) }
			store := &between{Store: memstore.New(now, 0)}
			s := service(store, now)
			var secret session.Secret
			store.signIn = func() {
				var err error
				secret, _, err = s.Create(t.Context(), grantOf("alice", now().Add(time.Minute), "r"), session.Browser{Since: now()})
				if err != nil && !errors.Is(err, session.ErrNoSession) {
					t.Error(err)
				}
			}
			if err := end(t.Context(), s); err != nil || store.signIn != nil {
				t.Fatal("nobody signed in meanwhile", err)
			}
			if _, err := s.Lookup(t.Context(), secret); !errors.Is(err, session.ErrNoSession) {
				t.Errorf("Lookup = %v, want ErrNoSession", err)
			}
		})
	}
}

// Without a refresh token nobody is asked again whether the user still may: the
// session ends with the token that it was made of.
func TestSessionWithoutRefreshTokenEndsWithItsToken(t *testing.T) {
	clock := time.Unix(1e9, 0)
	s := service(memstore.New(func() time.Time { return clock }, 0), func() time.Time { return clock })
	secret, _, err := s.Create(t.Context(), grantOf("alice", clock.Add(5*time.Minute), ""), session.Browser{Since: clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(6 * time.Minute)
	if _, err := s.Lookup(t.Context(), secret); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("after its token's end: %v, want ErrNoSession", err)
	}
}

// stuck holds a writer of a list.
type stuck struct {
	session.Store
	begun chan struct{}
	goOn  chan struct{}
	once  sync.Once
}

func (s *stuck) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	first := false
	s.once.Do(func() { first = true })
	if first {
		close(s.begun)
		<-s.goOn
	}
	return s.Store.Get(ctx, keys...)
}

// Who waits for the writer of a list waits no longer than it is given.
func TestWaitForAListHasAnEnd(t *testing.T) {
	store := &stuck{Store: memstore.New(time.Now, 0), begun: make(chan struct{}), goOn: make(chan struct{})}
	s := service(store, time.Now)
	var first sync.WaitGroup
	first.Go(func() { _ = s.Note(t.Context(), "alice", "one", "client") })
	<-store.begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- s.Note(ctx, "alice", "two", "client") }()
	select {
	case err := <-answered:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Note = %v, want that its time is over", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits longer than its context")
	}
	close(store.goOn)
	first.Wait()
}

// An ending is told to this replica's own listeners once, and not again when
// its own message comes back.
func TestEndingHasNoEcho(t *testing.T) {
	store := memstore.New(time.Now, 0)
	here := session.NewEndings(store, time.Hour, time.Hour, time.Now, zerolog.Nop())
	there := session.NewEndings(store, time.Hour, time.Hour, time.Now, zerolog.Nop())
	heard := make(chan string, 10)
	here.OnEnd(func(id string) { heard <- "here " + id })
	there.OnEnd(func(id string) { heard <- "there " + id })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { here.Run(ctx) })
	running.Go(func() { there.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for !store.Heard(2) {
		<-time.After(time.Millisecond)
	}
	if err := here.End(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := []string{<-heard, <-heard}; got[0] != "here a" || got[1] != "there a" {
		t.Errorf("heard %v", got)
	}
	if len(heard) != 0 {
		t.Errorf("and once more: %s", <-heard)
	}
}
