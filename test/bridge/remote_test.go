package bridge_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestARemoteServerBehindTheDoor: an entry with a url is served like any other,
// in every era of the far side, with the entry's credentials and never the
// caller's.
func TestARemoteServerBehindTheDoor(t *testing.T) {
	far := start(t)
	target, err := url.Parse(far.base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	var mu sync.Mutex
	var strange []string
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if r.Header.Get("Authorization") != "Bearer of-the-entry" || r.Header.Get("X-Caller") != "" {
			strange = append(strange, fmt.Sprint(r.Header))
		}
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	t.Setenv("FAR_TOKEN", "of-the-entry")
	headers := `"headers": {"Authorization": "Bearer ${FAR_TOKEN}"}`
	near := startArgs(t, "--config", writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"),
		`"new": {"url": "`+door.URL+`/mcp", `+headers+`}, "old": {"type": "sse", "url": "`+door.URL+`/sse", `+headers+`}`))
	for _, server := range []string{"new", "old"} {
		c := newClient(t, near.base+"/servers/"+server+"/mcp", http.Header{
			"Authorization": {"Bearer of-the-caller"}, "X-Caller": {"yes"},
		})
		if a := c.post(initialize); a.Status != http.StatusOK {
			t.Fatalf("%s: initialize: %+v", server, a)
		}
		c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		if said := c.says("echo", "over there", 0); !strings.Contains(said, "over there") {
			t.Errorf("%s: echo = %q", server, said)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(strange) > 0 {
		t.Errorf("the far side was asked with %s", strange[0])
	}
	if strings.Contains(near.log.String(), "of-the-entry") || strings.Contains(far.log.String(), "of-the-entry") {
		t.Error("the credential is in a log")
	}
}

// A remote server is asked with its caller's own credential, and no other's,
// which is renewed while the session goes on. What it refuses, and what is
// missing, is said.
func TestARemoteServerGetsItsUsersCredential(t *testing.T) {
	far := start(t)
	target, err := url.Parse(far.base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	var mu sync.Mutex
	seen := map[string]bool{}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key")
		mu.Lock()
		seen[shown] = true
		mu.Unlock()
		if strings.HasSuffix(shown, "stale") || shown == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	shown := func(of string) (all []string) { // since the last look
		mu.Lock()
		defer mu.Unlock()
		for _, value := range slices.Sorted(maps.Keys(seen)) {
			if strings.Contains(value, of) {
				all = append(all, value)
				delete(seen, value)
			}
		}
		return all
	}
	s := &secrets{of: map[string]string{"alice": "alice-hush", "bob": "bob-hush"}, life: 4 * time.Second}
	entry := `{"url": "` + door.URL + `/mcp", "gatehouse": {"credentials": {"from": "slack"`
	near, a := startLendingTo(t, s, `"bearer": `+entry+`}}}, "named": `+entry+`, "header": "X-Api-Key"}}}`,
		"--log-level", "debug")
	open := func(server, user string) *client {
		c := newClient(t, near.base+"/servers/"+server+"/mcp", a.header(t, user, "s-"+user, time.Hour))
		eventually(t, "keys", func() bool { return c.post(initialize).Status != http.StatusUnauthorized })
		return c
	}
	if all := shown(""); len(all) > 0 {
		t.Errorf("for nobody the far side was shown %q", all)
	}
	for user, server := range map[string]string{"alice": "bearer", "bob": "named"} {
		want := map[string]string{"bearer": "Bearer " + user + "-hush", "named": user + "-hush"}[server]
		c := open(server, user)
		if said := c.says("echo", "over there", 0); !strings.Contains(said, "over there") {
			t.Errorf("%s: echo = %q", server, said)
		}
		if all := shown(user); len(all) != 1 || all[0] != want {
			t.Errorf("%s: the far side was shown %q, want %q alone", server, all, want)
		}
		s.set(user, user+"-new")
		eventually(t, "the far side is shown the new one", func() bool {
			c.says("echo", "again", 0)
			all := shown(user)
			return len(all) == 1 && all[0] == strings.Replace(want, "hush", "new", 1)
		})
		s.set(user, user+"-stale")
		eventually(t, "what the far side refuses is said", func() bool {
			got := c.call("echo", "", 0)
			return got.Error != nil && strings.Contains(got.Error.Message, "refuses this user's credential")
		})
	}
	if got := open("bearer", "carol").post(initialize); got.Error == nil || got.Error.Code != -32004 ||
		!strings.Contains(got.Error.Message, "/account/connect/slack") {
		t.Errorf("who has connected nothing gets %d %+v", got.Status, got.Error)
	}
	if all := shown(""); slices.ContainsFunc(all, func(value string) bool {
		return !strings.HasSuffix(value, "-stale") && !strings.HasSuffix(value, "-new")
	}) {
		t.Errorf("the far side was shown %q besides", all)
	}
	a.end("s-alice")
	eventually(t, "her child is gone", func() bool { return childrenOf(near.cmd.Process.Pid) <= guardian+1 })
	for _, secret := range []string{"hush", "alice-new", "bob-stale"} {
		if strings.Contains(near.log.String()+far.log.String(), secret) {
			t.Errorf("%s is in a log", secret)
		}
	}
}
