package main

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// TestASessionStaysWhereItIsWhenTheRootChanges: with a second server in the file
// the root is all of them in one, and with one it is that server. An entry that is
// as it was keeps its sessions, those at the root, too.
func TestASessionStaysWhereItIsWhenTheRootChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mcp.json")
	a, b := entryOf("a", ""), entryOf("b", "")
	writeServers(t, file, a)
	base, _ := startFile(t, file)
	const (
		own = `{"name":"say","arguments":{"text":"me","count":0}}`
		at  = `{"name":"a__say","arguments":{"text":"me","count":0}}`
	)
	goesOn := func(what string, p peer, params string) {
		t.Helper()
		if r := p.call(t, "", "tools/call", "", params); r.Error != nil {
			t.Errorf("%s: a call is answered %d %+v", what, r.Status, r.Error)
		}
	}
	before, stream := &streamablePeer{base: base}, newSSEPeer(t, base, "")
	goesOn("with one server", before, own)

	writeServers(t, file, a, b)
	awaitStatus(t, base+"/servers/b/mcp", http.StatusMethodNotAllowed)
	goesOn("with two servers", before, own)
	goesOn("with two servers, over SSE", stream, own)
	between := &streamablePeer{base: base}
	goesOn("opened with two servers", between, at)

	writeServers(t, file, a)
	awaitStatus(t, base+"/servers/b/mcp", http.StatusNotFound)
	goesOn("with one server again", before, own)
	goesOn("with one server again, over SSE", stream, own)
	goesOn("with one server left", between, at)
}

// awaitStatus waits until a PUT is answered so, which nothing takes.
func awaitStatus(t *testing.T, url string, want int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s answers %s", url, res.Status)
		}
	}
}
