package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
)

func (g *gate) health(page string) (status int, parts map[string]string) {
	g.t.Helper()
	res := g.do(g.internal, http.MethodGet, "/health/"+page, "")
	var answer struct{ Parts map[string]string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, answer.Parts
}

// TestReadinessIsWhatItSays: live whatever happens; ready as long as tokens are
// served; ready for browsers while the store is there as well. The part that
// fails is named.
func TestReadinessIsWhatItSays(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	issuer.Away.Store(true)
	g := start(t, issuer, redis.URL)
	is := func(what string, status, browsers int, part, state string) {
		t.Helper()
		eventually(t, what, func() bool {
			got, parts := g.health("ready")
			also, _ := g.health("ready/browsers")
			return got == status && also == browsers && parts[part] == state
		})
		if live, _ := g.health("live"); live != http.StatusOK {
			t.Errorf("%s: live answers %d", what, live)
		}
	}
	eventually(t, "listening", func() bool {
		res, err := g.internal.Get("http://x/health/live")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil
	})
	const ok, no = http.StatusOK, http.StatusServiceUnavailable
	is("without the provider", no, no, "provider", "failed")
	issuer.Away.Store(false)
	is("with all", ok, ok, "provider", "ok")
	redis.Freeze()
	is("without the store", ok, no, "store", "failed")
	g.wantVerdict("200", bearer(issuer.Sign(issuer.Access()))...)
	redis.Thaw()
	is("with it again", ok, ok, "store", "ok")
}

// A wrong client secret is said at the start, by the name of the client and of
// the file, and no browser is sent to such a replica. Tokens are served.
func TestWrongClientSecretIsSaidAtTheStart(t *testing.T) {
	issuer := issuertest.Start(t)
	file := filepath.Join(t.TempDir(), "client-secret")
	write(t, file, "not the secret")
	g := start(t, issuer, "memory", func(c *config) { c.ClientSecret, c.ClientSecretFile = "", file }).ready()
	eventually(t, "the line", func() bool { return strings.Contains(g.log.String(), "the provider refuses this client") })
	if said := g.log.String(); !strings.Contains(said, file) || !strings.Contains(said, issuertest.Client) ||
		strings.Contains(said, "not the secret") {
		t.Errorf("it names neither file nor client, or says too much: %s", said)
	}
	if status, parts := g.health("ready/browsers"); status != http.StatusServiceUnavailable ||
		parts["client"] != "failed" {
		t.Errorf("ready for browsers: %d, %v", status, parts)
	}
	g.wantVerdict("200", bearer(issuer.Sign(issuer.Access()))...)
}

// Redis is there and refuses the password: that is said, and once for a hundred
// requests.
func TestRefusedPasswordIsSaidOnce(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, redis.URL).ready()
	cookie := g.login(issuer)
	redis.Lock()
	eventually(t, "no verdict", func() bool { return verdict(g.auth("Cookie", cookie)) != "200" })
	for range 100 {
		g.auth("Cookie", cookie)
	}
	if n := strings.Count(g.log.String(), "no verdict: the store refused the password"); n != 1 {
		t.Errorf("said %d times for more than 100 requests, want once: %s", n, g.log.String())
	}
}
