//go:build !race

// The race detector makes a minute of what takes seconds and watches none of it:
// the sessions are held by a program of its own. `make cost` runs it.

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/internal/contract"
)

const (
	liveSessions = 10_000
	mostRSS      = 40 << 10 // kB
)

// TestTenThousandSessionsFit asks the program, as a process of its own, for
// each of 10,000 sessions, and reads what memory it then holds.
func TestTenThousandSessionsFit(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := startProcess(t, issuer, redis.URL)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range liveSessions / 8 {
				cookie, _ := g.create(session.Grant{Identity: contract.Identity{
					Subject: "user-" + session.NewSecret().Encode(), Email: "someone@example.com", Name: "Some One",
					Roles: []string{
						"mcp-user",
						"offline_access",
					}, Scopes: []string{"openid", "mcp.access"}, Expires: time.Now().Add(time.Hour),
				}, RefreshToken: strings.Repeat("r", 900), IDToken: strings.Repeat("i", 1100)},
					session.Browser{IP: "192.0.2.1", Agent: "Mozilla/5.0", Since: time.Now()})
				if t.Failed() {
					return
				}
				g.wantVerdict("200", "Cookie", cookie)
			}
		})
	}
	wg.Wait()
	rss := g.rss()
	t.Logf("%d kB with %d live sessions", rss, liveSessions)
	if rss > mostRSS {
		t.Errorf("RSS is %d kB, want at most %d", rss, mostRSS)
	}
}

type process struct {
	*gate
	pid int
}

func startProcess(t *testing.T, issuer *issuertest.Issuer, redisURL string) process {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, public, internal := filepath.Join(
		dir,
		"authsvc",
	), "unix:"+filepath.Join(
		dir,
		"p",
	), "unix:"+filepath.Join(
		dir,
		"i",
	)
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(
		program,
		"--listen",
		public,
		"--internal-listen",
		internal,
		"--public-url",
		issuertest.Public,
		"--issuer",
		issuer.URL,
		"--client-id",
		issuertest.Client,
		"--client-secret",
		issuertest.Secret,
		"--redis-url",
		redisURL,
		"--allow-any-user",
		"--store-key",
		testStoreKey,
	)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	svc, err := newService(config{
		Identity: identityFlags{Provider: "keycloak"}, AllowAnyUser: true,
		PublicURL: issuertest.Public, Issuer: issuer.URL, ClientID: issuertest.Client,
		ClientSecret: issuertest.Secret, StoreKey: testStoreKey,
		RedisURL: redisURL, SessionAge: time.Hour, SessionIdle: time.Hour,
	}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	g := process{&gate{t: t, svc: svc, public: socketClient(public), internal: socketClient(internal)}, cmd.Process.Pid}
	t.Cleanup(func() {
		g.public.CloseIdleConnections()
		g.internal.CloseIdleConnections()
		_ = svc.close()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("authsvc ended with %v after SIGTERM", err)
		}
	})
	g.ready()
	return g
}

// rss is the process's resident memory in kB.
func (p process) rss() int {
	p.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return kb
}
