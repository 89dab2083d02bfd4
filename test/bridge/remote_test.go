package bridge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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
