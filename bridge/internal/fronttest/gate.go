package fronttest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// Main is the TestMain of a front's tests: the test binary is the child too.
func Main(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		serveChild(mode)
		return
	}
	goleak.VerifyTestMain(m)
}

// Spec starts this test binary as the child of the mode.
func Spec(mode string) child.Spec {
	return child.Spec{
		Argv: []string{os.Args[0]},
		Env:  append(os.Environ(), childMode+"="+mode, "GORACE=atexit_sleep_ms=0"),
	}
}

// Options say what stands behind the front. The zero value is a child of every
// version with sessions, one for each session, and the default limits.
type Options struct {
	Child     string // Plain, Mute, Refuses, or the one version that it answers
	Isolation fleet.Isolation
	Limits    func(*session.Limits)
}

// Gate is a front at work.
type Gate struct {
	Table  *session.Table
	Server *fleet.Server
	Open   sync.WaitGroup // the front's streams
	Body   answer.Body
	URL    string

	client *http.Client
	signer *contract.Signer
}

// Start serves what front makes of the gate.
func Start(t testing.TB, o Options, front func(*Gate) http.Handler) *Gate {
	t.Helper()
	limits := session.DefaultLimits()
	if o.Limits != nil {
		o.Limits(&limits)
	}
	if o.Child == "" {
		o.Child = Plain
	}
	if o.Isolation == "" {
		o.Isolation = fleet.PerSession
	}
	starter := child.NewStarter()
	server := fleet.NewServer(fleet.ServerConfig{
		Spec:      Spec(o.Child),
		Child:     child.Options{StdinGrace: time.Second, TermGrace: time.Second},
		Isolation: o.Isolation, Limits: limits.Limits, Starter: starter, Log: zerolog.Nop(),
	})
	g := &Gate{
		Server: server,
		Table:  session.NewTable("", limits, server),
		client: &http.Client{Transport: &http.Transport{}},
	}
	g.Body = answer.Body{Max: limits.Body, Time: 10 * time.Second}
	srv := httptest.NewServer(g.identified(t, front(g)))
	g.URL = srv.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := g.Table.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if began, ended := server.Stats.Started.Load(), server.Stats.Ended.Load(); began != ended {
			t.Errorf("%d children were started, and %d have ended", began, ended)
		}
		g.Open.Wait()
		g.client.CloseIdleConnections()
		srv.Close()
		starter.Close()
	})
	return g
}

// identified gives each request the assertion of the user that its As header
// names, as USER or USER/LOGIN, and verifies it as the gate does.
func (g *Gate) identified(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "one", Algorithm: string(jose.EdDSA), Use: "sig"}
	if g.signer, err = contract.NewSigner(key); err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	}))
	t.Cleanup(page.Close)
	verified := identity.NewVerifier(&identity.Keys{URL: page.URL, Client: page.Client(), Log: zerolog.Nop()}).Wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := r.Header.Get("As")
		if who == "" {
			who = "alice"
		}
		user, _, _ := strings.Cut(who, "/")
		token, _, err := g.signer.Sign(
			contract.Identity{Subject: user, SessionID: "login of " + who, Expires: time.Now().Add(time.Hour)},
			time.Now(),
			time.Minute,
		)
		if err != nil {
			t.Error(err)
		}
		r.Header.Set(contract.HeaderAssertion, token)
		verified.ServeHTTP(w, r)
	})
}

// Eventually waits for a condition, 20 s at most.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("not in 20 s: %s", what)
}
