package main

import (
	"encoding/json"
	"net/http"
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

// TestReadinessIsWhatItSays: live whatever happens, not ready while the store
// or the provider's keys are out of reach, and the part is named.
func TestReadinessIsWhatItSays(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	issuer.Away.Store(true)
	g := start(t, issuer, redis.URL)
	is := func(what string, status int, part, state string) {
		t.Helper()
		eventually(t, what, func() bool {
			got, parts := g.health("ready")
			return got == status && parts[part] == state
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
	is("without the provider", http.StatusServiceUnavailable, "provider", "failed")
	issuer.Away.Store(false)
	is("with all", http.StatusOK, "provider", "ok")
	redis.Freeze()
	is("without the store", http.StatusServiceUnavailable, "store", "failed")
	redis.Thaw()
	is("with it again", http.StatusOK, "store", "ok")
}
