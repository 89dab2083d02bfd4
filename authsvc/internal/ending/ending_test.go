package ending

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

// provider notes what it was told to end, unless its caller has left.
type provider struct {
	told []string
	err  error
}

func (p *provider) end(ctx context.Context, what string) error {
	if err := errors.Join(ctx.Err(), p.err); err != nil {
		return err
	}
	p.told = append(p.told, what)
	return nil
}

func (p *provider) EndUser(ctx context.Context, subject string) error {
	return p.end(ctx, "all of "+subject)
}
func (p *provider) EndSession(ctx context.Context, sid string) error { return p.end(ctx, sid) }
func (p *provider) EndClient(ctx context.Context, subject, client string) error {
	return p.end(ctx, client+" of "+subject)
}
func (p *provider) Find(context.Context, string) (string, error) { return "", p.err }
func (p *provider) ClientName(context.Context, string) string    { return "" }

// ender is one over a store in memory.
func ender(at *provider) (*Ender, *session.Sessions) {
	store := memstore.New(time.Now, 0)
	sessions := &session.Sessions{
		Store: store, Box: session.NewBox([]byte("secret"), "index"), Now: time.Now, Log: zerolog.Nop(),
		Endings: session.NewEndings(store, time.Hour, time.Hour, time.Now, zerolog.Nop()),
		Ages:    session.Ages{Absolute: time.Hour, Idle: time.Hour, Tokens: time.Hour},
	}
	return &Ender{Sessions: sessions, Provider: at, Log: zerolog.Nop()}, sessions
}

// Who asked leaves as soon as the first thing has ended here: the rest ends, and
// the provider is told.
func TestAnEndingNeedsNoCallerToEnd(t *testing.T) {
	for name, one := range map[string]struct {
		end  func(context.Context, *Ender, string) error
		told string
	}{
		"a person": {func(ctx context.Context, e *Ender, _ string) error { return e.User(ctx, "ops", "alice") },
			"all of alice"},
		"a session": {func(ctx context.Context, e *Ender, sid string) error { return e.Session(ctx, "ops", "alice", sid) },
			"sso"},
		"a client": {func(ctx context.Context, e *Ender, _ string) error { return e.Client(ctx, "alice", "alice", "cli") },
			"cli of alice"},
	} {
		t.Run(name, func(t *testing.T) {
			at := &provider{}
			e, sessions := ender(at)
			_, sess, err := sessions.Create(t.Context(), session.Grant{
				Identity: contract.Identity{Subject: "alice", SessionID: "sso", Expires: time.Now().Add(time.Hour)},
			}, session.Browser{Since: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if err := sessions.Note(t.Context(), "alice", "sso", "cli"); err != nil {
				t.Fatal(err)
			}
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			sessions.Endings.OnEnd(func(string) { leave() })
			if err := one.end(ctx, e, sess.Identity.SessionID); err != nil || ctx.Err() == nil {
				t.Errorf("%v; who asked has left: %v", err, ctx.Err())
			}
			if len(at.told) != 1 || at.told[0] != one.told {
				t.Errorf("the provider was told of %q, want %s", at.told, one.told)
			}
		})
	}
}

// A person names clients that they never had, as long as a form may be: nothing
// is kept of them, here or in the store, and the provider is not asked.
func TestAnInventedClientLeavesNothing(t *testing.T) {
	at := &provider{}
	e, sessions := ender(at)
	heard := 0
	sessions.Endings.OnEnd(func(string) { heard++ })
	if err := sessions.Note(t.Context(), "alice", "sso", "cli"); err != nil {
		t.Fatal(err)
	}
	for _, invented := range []string{"", "other", strings.Repeat("x", 4<<10)} {
		if err := e.Client(t.Context(), "alice", "alice", invented); err != nil {
			t.Errorf("the client %.10q: %v, want that it is done", invented, err)
		}
		ended, err := sessions.Endings.Ended(t.Context(), session.ClientEnding("alice", invented))
		if err != nil || len(ended) != 0 {
			t.Errorf("the client %.10q left %d marks, %v", invented, len(ended), err)
		}
	}
	if heard != 0 || len(at.told) != 0 {
		t.Errorf("%d endings were announced, and the provider was told of %d", heard, len(at.told))
	}
}

// Where the provider could not be told a client stays on its user's page, and
// the button there tells it again.
func TestAClientThatTheProviderKeptIsEndedAgain(t *testing.T) {
	at := &provider{err: errors.New("away")}
	e, sessions := ender(at)
	if err := sessions.Note(t.Context(), "alice", "sso", "cli"); err != nil {
		t.Fatal(err)
	}
	if err := e.Client(t.Context(), "alice", "alice", "cli"); !errors.Is(err, ErrProvider) {
		t.Errorf("%v, want ErrProvider", err)
	}
	at.err = nil
	if err := e.Client(t.Context(), "alice", "alice", "cli"); err != nil || len(at.told) != 1 {
		t.Errorf("%v; the provider was told of %q, want of one client", err, at.told)
	}
	if listed, err := sessions.HasClient(t.Context(), "alice", "cli"); listed || err != nil {
		t.Errorf("still listed: %t, %v", listed, err)
	}
}
