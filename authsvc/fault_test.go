package main

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/admin"
	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/internal/contract"
)

func TestOneRefreshForManyRequestsOnTwoReplicas(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.TokenLife.Store(1)
	redis := redistest.Start(t)
	one, two := start(t, issuer, redis.URL).ready(), start(t, issuer, redis.URL).ready()
	cookie := one.login(issuer)
	<-time.After(1100 * time.Millisecond) // the token's own life has to pass
	issuer.TokenLife.Store(300)
	var wg sync.WaitGroup
	for i := range 200 {
		g := []*gate{one, two}[i%2]
		wg.Go(func() { g.wantVerdict("200", "Cookie", cookie) })
	}
	wg.Wait()
	if n := issuer.Refreshes.Load(); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

func TestRefusedRefreshEndsTheSession(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.TokenLife.Store(1)
	g := start(t, issuer, "memory").ready()
	cookie := g.login(issuer)
	sid := g.identity(g.wantVerdict("200", "Cookie", cookie)).SessionID
	issuer.Disabled.Store(true)
	took := eventually(t, "the disabled user is out", func() bool { return verdict(g.auth("Cookie", cookie)) == "401" })
	t.Logf("a disabled user with tokens of 1s was out after %s", took)
	g.wantEnded(sid)
}

func TestHungProvider(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.TokenLife.Store(1)
	g := start(t, issuer, "memory").ready()
	cookie := g.login(issuer)
	issuer.Hang.Store(true)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		slowest, begin := g.pace(), time.Now()
		g.wantVerdict("200", "Cookie", cookie)
		if took := time.Since(begin); took > 2*time.Second+slowest() {
			t.Errorf("a request waited %s, want at most 2s", took)
		}
	}
}

func TestRedisAway(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie, token := g.login(issuer), issuer.Sign(issuer.Access())
	g.wantVerdict("200", bearer(token)...)
	redis.Freeze()
	took := eventually(t, "503", func() bool { return verdict(g.auth("Cookie", cookie)) == "503" })
	t.Logf("a hung Redis showed after %s", took)
	slowest, begin := g.pace(), time.Now()
	res := g.wantVerdict("503", "Cookie", cookie)
	if took := time.Since(begin); took > time.Second+slowest() || res.Header.Get("Retry-After") == "" ||
		len(res.Cookies()) != 0 {
		t.Errorf("after %s: %v", took, res.Header)
	}
	g.wantVerdict("200", bearer(token)...)
	g.wantVerdict("200", bearer(issuer.Sign(issuer.Access().With(fields{"jti": "fresh"})))...)
	redis.Thaw()
	took = eventually(t, "back", func() bool { return verdict(g.auth("Cookie", cookie)) == "200" })
	t.Logf("the same session was let in %s after the thaw", took)
}

func TestProviderAwayAtStart(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.Away.Store(true)
	g := start(t, issuer, "memory")
	eventually(t, "up and not ready", func() bool {
		res, err := g.internal.Get("http://x/health/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusServiceUnavailable
	})
	token := issuer.Sign(issuer.Access())
	g.wantVerdict("503", bearer(token)...)
	issuer.Away.Store(false)
	g.ready().wantVerdict("200", bearer(token)...)
}

// A provider that can only send the browser names the session; what it names is
// ended, and a stranger's guess ends and keeps nothing.
func TestFrontchannelLogout(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	cookie := g.login(issuer)
	ask := func(iss, sid string) int {
		q := url.Values{"iss": {iss}, "sid": {sid}}
		return g.do(g.public, http.MethodGet, "/frontchannel-logout?"+q.Encode(), "").StatusCode
	}
	for name, c := range map[string]struct {
		iss, sid string
		want     int
	}{
		"another issuer": {"https://evil.example", issuertest.SID, http.StatusBadRequest}, "no session": {issuer.URL, "", http.StatusBadRequest},
		"a guess": {issuer.URL, "guess", http.StatusOK},
	} {
		if got := ask(c.iss, c.sid); got != c.want {
			t.Errorf("%s: answered %d, want %d", name, got, c.want)
		}
	}
	if ended, err := g.svc.endings.Ended(t.Context(), "guess"); err != nil || len(ended) != 0 {
		t.Errorf("a guess left %v behind, %v", ended, err)
	}
	g.wantVerdict("200", "Cookie", cookie)
	if got := ask(issuer.URL, issuertest.SID); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	g.wantVerdict("401", "Cookie", cookie)
}

func TestBackchannelLogout(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	one, two := start(t, issuer, redis.URL).ready(), start(t, issuer, redis.URL).ready()
	cookie, token := one.login(issuer), issuer.Sign(issuer.Access())
	for _, g := range []*gate{one, two} {
		g.wantVerdict("200", "Cookie", cookie)
		g.wantVerdict("200", bearer(token)...)
	}
	ok := issuer.Logout()
	now := time.Now().Unix()
	for name, change := range map[string]fields{
		"nonce": {"nonce": "n"}, "no event": {"events": nil}, "another event": {"events": map[string]any{"x": map[string]any{}}},
		"another client": {"aud": "other"}, "another issuer": {"iss": "https://evil.example"}, "old": {"iat": now - 600, "exp": nil},
		"neither sid nor sub": {"sid": nil, "sub": nil}, "no jti": {"jti": nil}, "access token": {"typ": "Bearer"},
	} {
		if got := one.backchannel(issuer.Sign(ok.With(change))); got != http.StatusBadRequest {
			t.Errorf("%s: answered %d, want 400", name, got)
		}
	}
	one.wantVerdict("200", "Cookie", cookie)
	logout := issuer.Sign(ok)
	if got := one.backchannel(logout); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	if got := two.backchannel(logout); got != http.StatusBadRequest {
		t.Errorf("a replay answered %d, want 400", got)
	}
	one.wantEnded(issuertest.SID)
	took := eventually(t, "the other replica", func() bool {
		return verdict(two.auth("Cookie", cookie)) == "401" && verdict(two.auth(bearer(token)...)) == "401"
	})
	t.Logf("the other replica refused after %s", took)
}

// lame keeps no tombstone while it is away.
type lame struct {
	session.Store
	away atomic.Bool
}

func (l *lame) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if l.away.Load() {
		return session.ErrUnavailable
	}
	return l.Store.Put(ctx, key, value, ttl)
}

// A logout that could not be done may be asked for again with the same token.
func TestBackchannelLogoutAgain(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	cookie := g.login(issuer)
	logout := issuer.Sign(issuer.Logout())
	store := &lame{Store: g.svc.store}
	store.away.Store(true)
	g.svc.sessions.Endings = session.NewEndings(store, time.Hour, time.Hour, time.Now, zerolog.Nop())
	if got := g.backchannel(logout); got != http.StatusServiceUnavailable {
		t.Errorf("without a tombstone answered %d, want 503", got)
	}
	store.away.Store(false)
	if got := g.backchannel(logout); got != http.StatusOK {
		t.Errorf("the second try answered %d, want 200", got)
	}
	g.wantVerdict("401", "Cookie", cookie)
}

func (g *gate) backchannel(token string) int {
	g.t.Helper()
	return g.do(
		g.public,
		http.MethodPost,
		"/backchannel-logout",
		"logout_token="+token,
		"Content-Type",
		"application/x-www-form-urlencoded",
	).StatusCode
}

func TestRevocation(t *testing.T) {
	issuer := issuertest.Start(t)
	// Seconds of leeway: no second that passes meanwhile decides what is older than the revocation.
	g := start(t, issuer, "memory", func(c *config) { c.Leeway = 5 * time.Second }).ready()
	cookie, token := g.login(issuer), issuer.Sign(issuer.Access())
	g.wantVerdict("200", bearer(token)...)
	for _, bad := range []string{``, `{}`, `{"sub":"a","sid":"b"}`, `{"name":"a"}`, `{"user":"a","sub":"b"}`} {
		if res := g.do(g.internal, http.MethodPost, admin.PathRevoke, bad); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q answered %d", bad, res.StatusCode)
		}
	}
	if res := g.do(g.internal, http.MethodPost, admin.PathRevoke, `{"sub":"`+issuertest.Subject+`"}`); res.StatusCode != http.StatusNoContent {
		t.Fatalf("answered %d", res.StatusCode)
	}
	if res := g.do(g.internal, http.MethodPost, admin.PathRevoke, `{"user":"alice"}`); res.StatusCode != http.StatusNotFound {
		t.Errorf("a name, with nobody to ask, answered %d", res.StatusCode)
	}
	g.wantVerdict("401", "Cookie", cookie)
	g.wantVerdict("401", bearer(token)...)
	g.wantEnded(issuertest.SID) // of the token: its open streams end
	later := issuer.Access().With(fields{"iat": time.Now().Unix() + 3})
	g.wantVerdict("401", bearer(issuer.Sign(later))...)
	// One from the future may be older than the revocation: the issuer's clock is ahead.
	g.wantVerdict("401", bearer(issuer.Sign(later.With(fields{"sid": "another login"})))...)
	// So the issuer's clock is taken to be 4 s ahead, and a login that it dates later than that is newer.
	fresh := func() fields { return issuer.Access().With(fields{"sid": "another login"}) }
	took := eventually(
		t,
		"a new login counts",
		func() bool { return verdict(g.auth(bearer(issuer.Sign(fresh()))...)) == "200" },
	)
	t.Logf("a new login counts after %s", took)
}

// One user signs in a hundred times at once, at two replicas.
func TestParallelLoginsOfOneUser(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	gates := []*gate{start(t, issuer, redis.URL).ready(), start(t, issuer, redis.URL).ready()}
	const logins = 100
	cookies := make([]string, logins)
	var again atomic.Int32
	var wg sync.WaitGroup
	for i := range logins {
		wg.Go(func() {
			cookie, tries := gates[i%2].create(session.Grant{
				Identity: contract.Identity{Subject: issuertest.Subject, Expires: time.Now().Add(time.Hour)},
			}, session.Browser{Since: time.Now()})
			cookies[i] = cookie
			again.Add(int32(tries - 1))
		})
	}
	wg.Wait()
	list, err := gates[0].svc.sessions.List(t.Context(), issuertest.Subject)
	if err != nil || len(list) < logins || len(list) > logins+int(again.Load()) {
		t.Errorf("%d sessions are listed, %v; want %d, and at most %d begun twice", len(list), err, logins, again.Load())
	}
	if err := gates[1].svc.sessions.EndUser(t.Context(), issuertest.Subject); err != nil {
		t.Error(err)
	}
	for _, cookie := range cookies {
		gates[1].wantVerdict("401", "Cookie", cookie)
	}
}

// The client secret changes, as a rotation does: with a store key of its own
// authsvc still finds the sessions, and can still end them.
func TestClientSecretChanges(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	key := func(c *config) { c.StoreKey = testStoreKey }
	cookie := start(t, issuer, redis.URL, key).ready().login(issuer)
	after := start(t, issuer, redis.URL, key, func(c *config) { c.ClientSecret = "another secret" }).ready()
	after.identity(after.wantVerdict("200", "Cookie", cookie))
	if got := after.backchannel(issuer.Sign(issuer.Logout())); got != http.StatusOK {
		t.Fatalf("logout answered %d", got)
	}
	eventually(t, "the session's end", func() bool { return verdict(after.auth("Cookie", cookie)) == "401" })
}
