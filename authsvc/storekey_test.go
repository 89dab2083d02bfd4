package main

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/admin"
	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
)

// anotherKey starts a replica with a store key that the others do not have.
func anotherKey(c *config) { c.StoreKey = "another of the store, and longer than 32 bytes" }

// A new store key ends every session: the lists by which they could be ended have
// other names under it. Only the shared keys are deleted here, and what lies in
// Redis beside them stays.
func TestANewStoreKeyEndsAllSessions(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	before := start(t, issuer, redis.URL).ready()
	cookie := before.login(issuer)
	before.wantVerdict("200", "Cookie", cookie)
	before.stop()
	socket := strings.TrimPrefix(redis.URL, "unix://")
	out, err := exec.Command("redis-cli", "-s", socket, "del", "gatehouse:assertion-keys").CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	after := start(t, issuer, redis.URL, anotherKey).ready()
	after.wantVerdict("401", "Cookie", cookie)
	after.wantVerdict("200", "Cookie", after.login(issuer))
}

// A replica with a store key of its own by mistake says neither yes nor no of a
// session that the others opened, and opens none.
func TestAnotherStoreKeySignsNobodyOut(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	right := start(t, issuer, redis.URL).ready()
	cookie := right.login(issuer)
	wrong := start(t, issuer, redis.URL, anotherKey)
	eventually(t, "the wrong one says what is wrong", func() bool {
		return strings.Contains(wrong.log.String(), "another store key")
	})
	res := wrong.wantVerdict("503", "Cookie", cookie)
	if len(res.Cookies()) != 0 {
		t.Errorf("it sets cookies: %v", res.Cookies())
	}
	if res := wrong.do(wrong.public, http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site",
		"same-origin"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a sign-out there, of what it cannot open, answered %d, want 503", res.StatusCode)
	}
	if res := wrong.do(wrong.internal, http.MethodPost, admin.PathRevoke,
		`{"sub":"`+issuertest.Subject+`"}`); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a revocation there, of what it cannot find, answered %d, want 503", res.StatusCode)
	}
	if res := wrong.do(wrong.public, http.MethodGet, "/login", ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a sign-in there answered %d, want 503", res.StatusCode)
	}
	right.wantVerdict("200", "Cookie", cookie)
	if res := right.do(right.internal, http.MethodPost, admin.PathRevoke,
		`{"sub":"`+issuertest.Subject+`"}`); res.StatusCode != http.StatusNoContent {
		t.Errorf("the same at the right one answered %d", res.StatusCode)
	}
	right.wantVerdict("401", "Cookie", cookie)
}
