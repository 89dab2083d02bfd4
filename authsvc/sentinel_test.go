package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

// programMode makes this test binary authsvc itself: a process whose
// environment and roots are its own.
const programMode = "GATEHOUSE_TEST_AUTHSVC"

// startProgram runs authsvc as an operator would.
func startProgram(t *testing.T, issuer *issuertest.Issuer, redisURL, ca string) *gate {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"secret": issuertest.Secret, "redis": redisURL} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listen, internal := "unix:"+filepath.Join(dir, "p"), "unix:"+filepath.Join(dir, "i")
	cmd := exec.Command(os.Args[0], "--listen="+listen, "--internal-listen="+internal, "--public-url="+issuertest.Public,
		"--issuer="+issuer.URL, "--client-id="+issuertest.Client, "--client-secret-file="+filepath.Join(dir, "secret"),
		"--redis-url-file="+filepath.Join(dir, "redis"), "--allow-any-user", "--log-level=error", "--store-key="+testStoreKey)
	cmd.Env = append(os.Environ(), programMode+"=1", "SSL_CERT_FILE="+ca)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, public: socketClient(listen), internal: socketClient(internal)}
	t.Cleanup(func() {
		kill(cmd)
		g.public.CloseIdleConnections()
		g.internal.CloseIdleConnections()
		_ = os.RemoveAll(dir)
	})
	return g.ready()
}

// The master dies under load: logins and sessions work again within seconds,
// and no session is lost, neither then nor when all three start anew.
func TestSentinelFailover(t *testing.T) {
	issuer, r := issuertest.Start(t), startRedises(t)
	g := startProgram(t, issuer, r.url(), filepath.Join(r.dir, "ca.crt"))
	cookie := g.login(issuer)

	first := r.master()
	stop, counts := load(t, g.public, cookie)
	kill(r.servers[first])
	begin := time.Now()
	logins := within(t, "a login", func() bool { return g.tryLogin(issuer) })
	sessions := within(t, "the old session", func() bool { return verdict(g.auth("Cookie", cookie)) == "200" })
	stop()
	if now := r.master(); now == first {
		t.Errorf("the master is still %d", now)
	}
	if wrong := counts.refused.Load(); wrong != 0 {
		t.Errorf("%d requests of a signed-in caller were told to sign in again", wrong)
	}
	t.Logf(
		"master killed under load: a login worked after %.1f s, the old session after %.1f s; of %d requests %d got 503, none 401 (%.1f s)",
		logins.Seconds(),
		(logins + sessions).Seconds(),
		counts.all.Load(),
		counts.unavailable.Load(),
		time.Since(begin).Seconds(),
	)

	r.startServer(first)
	within(t, "the old master is a replica, its file written", func() bool {
		said := r.cli(r.ports[first], "operator", operatorPassword, "info")
		return strings.Contains(said, "master_link_status:up") && strings.Contains(said, "aof_rewrite_in_progress:0") &&
			strings.Contains(said, "aof_rewrite_scheduled:0")
	})
	g.persists(r, cookie)
}

// persists stops every Redis and starts it again: what it knew was on disk, and
// its file names its role since the Sentinels wrote it there.
func (g *gate) persists(r *redises, cookie string) {
	g.t.Helper()
	for _, server := range r.servers {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	}
	within(g.t, "a verdict without the store", func() bool { return verdict(g.auth("Cookie", cookie)) == "503" })
	for i := range r.servers {
		r.servers[i] = r.run("redis-server", filepath.Join(r.node(i), "redis.conf"))
	}
	took := within(g.t, "the session after all three started anew", func() bool {
		return verdict(g.auth("Cookie", cookie)) == "200"
	})
	g.t.Logf("all three stopped and started: the same session after %.1f s", took.Seconds())
}

// tryLogin signs a browser in and reports whether it could.
func (g *gate) tryLogin(issuer *issuertest.Issuer) bool {
	g.t.Helper()
	res := g.do(g.public, http.MethodGet, "/login?return_to=/mcp", "")
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusFound {
		return false
	}
	issuer.Expect(to.Query().Get("nonce"))
	browser := loginCookie(res)
	res = g.do(g.public, http.MethodGet, answer(issuer, to.Query().Get("state")), "", "Cookie", browser)
	return res.StatusCode == http.StatusSeeOther && cookieOf(res, session.CookieName) != ""
}

// sentinelPatience outlasts several failovers that a busy machine breaks off.
const sentinelPatience = 2 * time.Minute

// within is eventually with the patience that sentinels need.
func within(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > sentinelPatience {
			t.Fatalf("%s: not within %s", what, sentinelPatience)
		}
		<-time.After(50 * time.Millisecond)
	}
	return time.Since(begin)
}

// authsvc's Redis user can do its work and no more.
func TestRedisUserOfAuthsvc(t *testing.T) {
	r := startRedises(t)
	as := func(args ...string) string { return r.cli(r.ports[0], "authsvc", authsvcPassword, args...) }
	if said := as("set", "gatehouse:x", "1"); !strings.Contains(said, "OK") {
		t.Errorf("its own key: %s", said)
	}
	for _, command := range []string{"keys *", "flushall", "config get *", "set other 1", "acl list", "replicaof no one", "shutdown"} {
		if said := as(strings.Fields(command)...); !strings.Contains(said, "NOPERM") {
			t.Errorf("%s: %s", command, said)
		}
	}
	if said := r.cli(r.ports[0], "", "", "ping"); !strings.Contains(said, "NOAUTH") {
		t.Errorf("without a user: %s", said)
	}
	plain := exec.CommandContext(t.Context(), "redis-cli", "-h", "127.0.0.1", "-p", strconv.Itoa(r.ports[0]), "ping")
	if said, _ := plain.CombinedOutput(); strings.Contains(string(said), "PONG") {
		t.Errorf("without TLS: %s", said)
	}
}

// tally of what callers got.
type tally struct{ all, unavailable, refused atomic.Int64 }

// load asks for verdicts of one session without a pause for breath between two
// answers, four at a time, until stop.
func load(t *testing.T, client *http.Client, cookie string) (stop func(), counts *tally) {
	ctx, cancel := context.WithCancel(t.Context())
	counts = &tally{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate.example.com/auth", nil)
				if err != nil {
					return
				}
				req.Header.Set("Cookie", cookie)
				req.Header.Set(contract.HeaderOriginalMethod, "POST")
				req.Header.Set(contract.HeaderOriginalURI, "/mcp")
				res, err := client.Do(req)
				if err != nil {
					continue
				}
				_ = res.Body.Close()
				counts.all.Add(1)
				switch verdict(res) {
				case "503":
					counts.unavailable.Add(1)
				case "401", "403":
					counts.refused.Add(1)
				}
				<-time.After(time.Millisecond)
			}
		})
	}
	return func() { cancel(); wg.Wait() }, counts
}
