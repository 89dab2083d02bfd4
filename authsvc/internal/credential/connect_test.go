package credential

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

// busy keeps no list while it is told so, and calls removed once something is
// taken away. As a Redis does, it does nothing for who has left.
type busy struct {
	session.Store
	lists   bool
	removed func()
}

func (b *busy) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if ctx.Err() != nil || b.lists && strings.HasPrefix(key, kindIndex) {
		return false, session.ErrUnavailable
	}
	ok, err := b.Store.Swap(ctx, key, old, new, ttl)
	if new == nil && b.removed != nil {
		b.removed()
	}
	return ok, err
}

// A credential is gone, then the list of who has one cannot be written, or its
// user leaves: it is taken back at its provider all the same, and written down.
// The next try has nothing left to take back.
func TestADisconnectedCredentialIsTakenBackWhateverFails(t *testing.T) {
	for name, fault := range map[string]struct {
		lists, leaves bool
	}{"the list is busy": {lists: true}, "its user leaves": {leaves: true}} {
		t.Run(name, func(t *testing.T) {
			var revoked atomic.Int32
			provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { revoked.Add(1) }))
			t.Cleanup(provider.Close)
			file := filepath.Join(t.TempDir(), "audit")
			audit, err := auditlog.Open(file, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			store := &busy{Store: memstore.New(time.Now, 0)}
			s := &Service{
				Entries: []Entry{{Name: "chat", Kind: OAuth, Revoke: provider.URL, keep: time.Hour}}, Store: store,
				Box: session.NewBox([]byte("of the test alone"), "credentials"), Client: provider.Client(), Audit: audit,
				Now: time.Now, Log: zerolog.Nop(),
			}
			who, e := contract.Identity{Subject: "alice", Email: "alice@example.com"}, &s.Entries[0]
			if err := s.connected(t.Context(), who, e, &record{Secret: "access", Refresh: "refresh"}); err != nil {
				t.Fatal(err)
			}
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if store.lists = fault.lists; fault.leaves {
				store.removed = leave
			}
			err = s.Disconnect(ctx, "alice", "alice", e)
			if errors.Is(err, session.ErrUnavailable) != fault.lists {
				t.Errorf("%v; the list is busy: %t", err, fault.lists)
			}
			text, readErr := os.ReadFile(file)
			if revoked.Load() != 2 || readErr != nil || strings.Count(string(text), "credential deleted") != 1 {
				t.Errorf("%d tokens of 2 were taken back, %v, and the audit says\n%s", revoked.Load(), readErr, text)
			}
			store.lists, store.removed = false, nil
			if err := s.Disconnect(t.Context(), "alice", "alice", e); err != nil || revoked.Load() != 2 {
				t.Errorf("the next try: %v, %d tokens", err, revoked.Load())
			}
		})
	}
}
