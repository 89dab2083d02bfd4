package main

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/redistest"
)

// With Redis hung, callers are answered within a second, none piles up, and
// what they asked for meanwhile undoes nothing after the thaw.
func TestHungRedisPilesNothing(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie := g.login(issuer)
	g.wantVerdict("200", "Cookie", cookie)
	redis.Freeze()
	eventually(t, "503", func() bool { return verdict(g.auth("Cookie", cookie)) == "503" })
	before, most := runtime.NumGoroutine(), 0
	var asked sync.WaitGroup
	began, waited, slowest := make([]time.Time, 400), make([]time.Duration, 400), g.pace()
	for i := range waited {
		other := session.CookieName + "=" + session.NewSecret().Encode()
		began[i] = time.Now()
		asked.Go(func() {
			g.wantVerdict("503", "Cookie", other)
			waited[i] = time.Since(began[i])
		})
		<-time.After(5 * time.Millisecond) // new ones come while others wait
		most = max(most, runtime.NumGoroutine()-before)
	}
	if res := g.do(g.public, http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); res.StatusCode != http.StatusServiceUnavailable ||
		len(res.Cookies()) != 0 {
		t.Errorf("a logout that cannot be done answered %d, cookies %v", res.StatusCode, res.Cookies())
	}
	asked.Wait()
	longest, machine := slices.Max(waited), slowest()
	if longest > time.Second+machine {
		t.Errorf("a caller waited %s, of which the machine explains %s", longest, machine)
	}
	need := perCaller * mostWithin(began, 800*time.Millisecond+machine)
	if most > need {
		t.Errorf("%d goroutines more, and those who may wait at once need %d", most, need)
	}
	took := eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() < before+20 || g.idle() })
	t.Logf("at most %d goroutines more, of %d that may be, with 200 callers a second; gone after %s", most, need, took)
	redis.Thaw()
	eventually(t, "in again", func() bool { return verdict(g.auth("Cookie", cookie)) == "200" })
	<-time.After(session.Recheck + 100*time.Millisecond) // nothing remembered answers now
	g.wantVerdict("200", "Cookie", cookie)
}

// perCaller are the goroutines of one who waits: the test's own, two of its client's
// connection, two of the service's, and what may be about to end.
const perCaller = 8

// mostWithin is how many of these moments, which come in their order, lie within
// one span at most.
func mostWithin(moments []time.Time, span time.Duration) (most int) {
	first := 0
	for i, at := range moments {
		for at.Sub(moments[first]) > span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// With the token endpoint hung, who has more groups than a token holds is told in
// time that nobody can say now, however many ask, and is in when it answers again.
func TestHungTokenEndpointHoldsNobodyUp(t *testing.T) {
	issuer := issuertest.Start(t)
	issuer.Speak(issuertest.Shape{Groups: []string{"g1"}})
	g := start(t, issuer, "memory", func(c *config) {
		c.Identity.RolesClaim = []string{"groups"}
		c.Identity.GroupsURL, c.Identity.GroupsScope = issuer.URL+"/groups/{user}", "of-the-groups"
	}).ready()
	over := func(n int) []string {
		many := fields{"jti": fmt.Sprint(n), "_claim_names": fields{"groups": "src1"}}
		return bearer(issuer.Sign(issuer.Access().With(many)))
	}
	issuer.Hang.Store(true)
	var asked sync.WaitGroup
	waited, slowest := make([]time.Duration, 4), g.pace()
	for i := range waited {
		asked.Go(func() {
			begin := time.Now()
			g.wantVerdict("503", over(i)...)
			waited[i] = time.Since(begin)
		})
	}
	asked.Wait()
	if longest, machine := slices.Max(waited), slowest(); longest > 2*time.Second+machine {
		t.Errorf("a caller waited %s, of which the machine explains %s", longest, machine)
	}
	issuer.Hang.Store(false)
	issuer.Drop()
	eventually(t, "in again", func() bool { return verdict(g.auth(over(0)...)) == "200" })
}

// pace asks again and again for what needs no store, until slowest is called:
// how long just now the machine itself makes an answer wait.
func (g *gate) pace() (slowest func() time.Duration) {
	g.t.Helper()
	stop, most := make(chan struct{}), make(chan time.Duration)
	go func() {
		var longest time.Duration
		for {
			begin := time.Now()
			if res, err := g.internal.Get("http://x/health/live"); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			longest = max(longest, time.Since(begin))
			select {
			case <-stop:
				most <- longest
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() time.Duration { close(stop); return <-most }
}

// idle closes the connections that only wait, which have goroutines too.
func (g *gate) idle() bool { g.public.CloseIdleConnections(); return false }

func TestStoppedRedis(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie := g.login(issuer)
	g.wantVerdict("200", "Cookie", cookie)
	redis.Stop()
	took := eventually(t, "503", func() bool { return verdict(g.auth("Cookie", cookie)) == "503" })
	slowest, begin := g.pace(), time.Now()
	res := g.wantVerdict("503", "Cookie", cookie)
	if took := time.Since(begin); took > time.Second+slowest() || res.Header.Get("Retry-After") == "" ||
		len(res.Cookies()) != 0 {
		t.Errorf("after %s: %v", took, res.Header)
	}
	if res := g.do(g.public, http.MethodGet, "/login", ""); res.StatusCode != http.StatusServiceUnavailable ||
		res.Header.Get("Retry-After") == "" {
		t.Errorf("login answered %d, %v", res.StatusCode, res.Header)
	}
	redis.Start()
	back := eventually(
		t,
		"a login",
		func() bool { return g.do(g.public, http.MethodGet, "/login", "").StatusCode == http.StatusFound },
	)
	g.wantVerdict("200", "Cookie", g.login(issuer))
	t.Logf("503 after %s, a new login %s after the start", took, back)
}

func TestSlowRedis(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie := g.login(issuer)
	var got string
	var took, machine time.Duration
	for range 5 { // a machine that is slow too leaves Redis no time for its answer
		<-time.After(session.Recheck) // nothing is remembered
		redis.Pause(500 * time.Millisecond)
		slowest, begin := g.pace(), time.Now()
		got = verdict(g.auth("Cookie", cookie))
		took, machine = time.Since(begin), slowest()
		if got == "200" && took >= 200*time.Millisecond { // the pause was not over before the question
			break
		}
	}
	if got != "200" || took < 200*time.Millisecond || took > time.Second+machine {
		t.Errorf("a verdict from a slow Redis: %s after %s", got, took)
	}
}

func TestFullRedis(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie := g.login(issuer)
	redis.Fill()
	browser, q := g.begin("/mcp") // of a login under way nothing is kept
	issuer.Expect(q.Get("nonce"))
	if res := g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", browser); res.StatusCode != http.StatusServiceUnavailable ||
		res.Header.Get("Retry-After") == "" {
		t.Errorf("a callback at a full store answered %d, %v", res.StatusCode, res.Header)
	}
	for range 3 { // past what is remembered
		g.wantVerdict("200", "Cookie", cookie)
		<-time.After(session.Recheck / 2)
	}
	redis.Drain()
	g.wantVerdict("200", "Cookie", g.login(issuer))
}

// The message of an ending is lost on its way to the other replica: that one
// learns of it at its next look.
func TestLostMessage(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	one, two := start(t, issuer, redis.URL).ready(), start(t, issuer, redis.URL).ready()
	cookie, token := one.login(issuer), issuer.Sign(issuer.Access())
	redis.Deafen()
	eventually(t, "it hears nothing", func() bool { return strings.Contains(two.log.String(), "not heard") })
	for _, caller := range [][]string{{"Cookie", cookie}, bearer(token)} {
		two.wantVerdict("200", caller...)
	}
	slowest, begin := two.pace(), time.Now()
	if err := one.svc.sessions.EndUser(t.Context(), issuertest.Subject); err != nil {
		t.Fatal(err)
	}
	took := map[string]time.Duration{}
	for _, caller := range [][]string{{"Cookie", cookie}, bearer(token)} {
		eventually(t, "the other replica", func() bool { return verdict(two.auth(caller...)) == "401" })
		took[caller[0]] = time.Since(begin)
	}
	machine := slowest()
	for header, after := range took {
		if after > session.Recheck+time.Second/2+machine {
			t.Errorf("%s: refused after %s", header, after)
		}
	}
	t.Logf("with the message lost the other replica refused after %s", time.Since(begin))
}

// Two replicas are replaced in turn, as a rolling update does. Like nginx, the
// caller goes to the other where one takes no connection.
func TestRollingRestart(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	var gates [2]atomic.Pointer[gate]
	for i := range gates {
		gates[i].Store(start(t, issuer, redis.URL).ready())
	}
	cookie, token := gates[0].Load().login(issuer), issuer.Sign(issuer.Access())
	stop, done := make(chan struct{}), make(chan int)
	for _, caller := range [][]string{{"Cookie", cookie}, bearer(token)} {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					done <- n
					return
				default:
				}
				status, err := 0, error(nil)
				for try := range 4 { // the one that is asked may just have been replaced
					if status, err = gates[(n+try)%2].Load().ask(caller); err == nil {
						break
					}
				}
				if err != nil || status != http.StatusOK {
					t.Errorf("request %d with %s: %d, %v", n, caller[0], status, err)
				}
			}
		}()
	}
	for i := range gates {
		old := gates[i].Load()
		old.stop()
		gates[i].Store(start(t, issuer, redis.URL).ready())
	}
	close(stop)
	t.Logf("%d and %d requests, every one let in", <-done, <-done)
}

// ask is one request; a replica that takes no connection is an error.
func (g *gate) ask(header []string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, "http://gate.example.com/auth", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set(header[0], header[1])
	res, err := g.public.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

func TestClockSkew(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory", func(c *config) { c.Leeway = 30 * time.Second }).ready()
	now := time.Now().Unix()
	for skew, want := range map[int64]string{0: "200", 25: "200", -25: "200", 40: "401", -40: "401"} {
		// The issuer's clock is off by skew; the token lives for 5 s there.
		token := issuer.Sign(issuer.Access().With(fields{"iat": now + skew, "nbf": now + skew, "exp": now + skew + 5}))
		if got := verdict(g.auth(bearer(token)...)); got != want {
			t.Errorf("an issuer's clock %+d s off: %s, want %s", skew, got, want)
		}
		logout := issuer.Sign(
			issuer.Logout().With(fields{"sid": "other", "sub": nil, "iat": now + skew, "exp": now + skew + 5}),
		)
		if got := g.backchannel(logout); (got == http.StatusOK) != (want == "200") {
			t.Errorf("an issuer's clock %+d s off: the logout token was answered %d", skew, got)
		}
	}
}

// A browser comes back from the provider to a replica that has just started
// and has not reached it yet: the sign-in is not lost.
func TestCallbackAtAReplicaThatStarts(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	old := start(t, issuer, redis.URL).ready()
	browser, q := old.begin("/mcp")
	issuer.Expect(q.Get("nonce"))
	issuer.Away.Store(true)
	g := start(t, issuer, redis.URL)
	back := func() *http.Response {
		return g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", "Cookie", browser)
	}
	eventually(t, "an answer", func() bool {
		res, err := g.internal.Get("http://x/health/live")
		return err == nil && res.Body.Close() == nil
	})
	if res := back(); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("before the provider was reached: answered %d, want 503", res.StatusCode)
	}
	issuer.Away.Store(false)
	g.ready()
	if res := back(); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the same address after that: answered %d, want 303", res.StatusCode)
	}
}
