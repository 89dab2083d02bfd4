package logout_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/logout"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/internal/contract"
)

const sid = "at-the-provider"

// vouching takes each logout token for that of one session.
type vouching struct{}

func (vouching) LogoutURL(string, string) string { return "/" }
func (vouching) Is(string) bool                  { return true }
func (vouching) VerifyLogout(context.Context, string) (provider.Logout, error) {
	return provider.Logout{ID: "one", SID: sid, Subject: "alice", Expires: time.Now().Add(time.Minute)}, nil
}

// leaving does as a Redis does with a context that has ended. Where it is told
// to, the caller leaves as soon as a session is taken away.
type leaving struct {
	session.Store
	leave func()
	deaf  bool // takes no mark
}

func gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return nil
}

func (l *leaving) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	if err := gone(ctx); err != nil {
		return nil, err
	}
	return l.Store.Get(ctx, keys...)
}

func (l *leaving) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := gone(ctx); err != nil || l.deaf {
		return session.ErrUnavailable
	}
	return l.Store.Put(ctx, key, value, ttl)
}

func (l *leaving) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := gone(ctx); err != nil {
		return false, err
	}
	if l.leave != nil && new == nil && strings.HasPrefix(key, "session:") {
		l.leave()
	}
	return l.Store.Swap(ctx, key, old, new, ttl)
}

// signedIn is a gate with one session, and its cookie.
func signedIn(t *testing.T) (gate http.Handler, store *leaving, sess session.Session, cookie string) {
	t.Helper()
	store = &leaving{Store: memstore.New(time.Now, 0)}
	sessions := &session.Sessions{
		Store: store, Box: session.NewBox([]byte("secret"), "index"), Endings: endingsOver(store), Now: time.Now,
		Ages: session.Ages{Absolute: time.Hour, Idle: time.Hour, Tokens: time.Hour}, Log: zerolog.Nop(),
	}
	pages, err := page.New("https://sso.example.com", "")
	if err != nil {
		t.Fatal(err)
	}
	r := chi.NewRouter()
	(&logout.Handler{
		Provider: vouching{}, Sessions: sessions, Once: session.NewOnce(store, []byte("secret")), Pages: pages,
		Origin: "https://gate.example.com", Audit: &auditlog.Log{},
	}).Mount(r)
	secret, sess, err := sessions.Create(t.Context(), session.Grant{
		Identity: contract.Identity{Subject: "alice", SessionID: sid, Expires: time.Now().Add(time.Hour)},
	}, session.Browser{Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return r, store, sess, session.CookieName + "=" + secret.Encode()
}

func endingsOver(store session.Store) *session.Endings {
	return session.NewEndings(store, time.Hour, time.Hour, time.Now, zerolog.Nop())
}

func ask(ctx context.Context, gate http.Handler, method, path, cookie string) (code int) {
	r := httptest.NewRequest(method, path, strings.NewReader("logout_token=one")).WithContext(ctx)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", cookie)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	gate.ServeHTTP(w, r)
	return w.Code
}

// The caller leaves in the middle of each kind of logout: what is gone here has
// its mark all the same, by which the other replicas and the bridge know.
func TestALogoutNeedsNoCallerToEnd(t *testing.T) {
	for name, asked := range map[string][2]string{
		"the person's":      {http.MethodPost, "/logout"},
		"the back channel":  {http.MethodPost, "/backchannel-logout"},
		"the front channel": {http.MethodGet, "/frontchannel-logout?iss=x&sid=" + sid},
	} {
		t.Run(name, func(t *testing.T) {
			gate, store, sess, cookie := signedIn(t)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			store.leave = leave
			code := ask(ctx, gate, asked[0], asked[1], cookie)
			if ctx.Err() == nil {
				t.Fatal("the caller has not left: this test sees nothing")
			}
			elsewhere, err := endingsOver(store.Store).Ended(t.Context(), sess.Identity.SessionID)
			if err != nil || len(elsewhere) != 1 || code >= http.StatusBadRequest {
				t.Errorf("answered %d; another replica knows of %d endings, %v; want 1", code, len(elsewhere), err)
			}
		})
	}
}

// The caller leaves, and the logout fails as well: the provider's next try with
// the same token is taken.
func TestALogoutThatFailedMayBeSentAgainByWhoLeft(t *testing.T) {
	gate, store, sess, _ := signedIn(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	store.leave, store.deaf = leave, true
	if code := ask(ctx, gate, http.MethodPost, "/backchannel-logout", ""); code != http.StatusServiceUnavailable {
		t.Errorf("without a mark answered %d, want 503", code)
	}
	store.leave, store.deaf = nil, false
	if code := ask(t.Context(), gate, http.MethodPost, "/backchannel-logout", ""); code != http.StatusOK {
		t.Errorf("the second try answered %d, want 200", code)
	}
	elsewhere, err := endingsOver(store.Store).Ended(t.Context(), sess.Identity.SessionID)
	if err != nil || len(elsewhere) != 1 {
		t.Errorf("another replica knows of %d endings, %v; want 1", len(elsewhere), err)
	}
}
