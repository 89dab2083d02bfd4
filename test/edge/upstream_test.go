package edge

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// One call that a bridge drops ejects it for ten seconds, for everybody.
func TestOneDroppedCallEjectsNoBridge(t *testing.T) {
	t.Parallel()
	var counts [2]atomic.Int64
	bridge := func(i int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			counts[i].Add(1)
			if r.Header.Get("X-Drop") != "" {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "ok")
		}
	}
	a, b := serve(t, bridge(0)), serve(t, bridge(1))
	ours := start(t, options{limits: unlimited, addrs: []string{a, b}})
	guide := startGuide(t, options{addrs: []string{a, b}}, holes{})
	for name, c := range map[string]struct {
		g     *gate
		holds bool
	}{"this gate": {ours, true}, "the guide's": {guide, false}} {
		for range 2 { // one for each bridge
			c.g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-Drop", "1", "X-User-Email", "x")
		}
		before := counts[0].Load() + counts[1].Load()
		for i := range 6 {
			c.g.do(t, "POST", "/mcp", "", "Authorization", bearer, "X-User-Email", fmt.Sprint(i))
		}
		if served := counts[0].Load() + counts[1].Load() - before; (served == 6) != c.holds {
			t.Errorf("%s: %d of 6 calls reached a bridge after two were dropped", name, served)
		}
	}
}

// A call that a bridge began and dropped is not made a second time elsewhere.
func TestADroppedCallIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	drop := func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	}
	a, b := serve(t, drop), serve(t, drop)
	g := start(t, options{addrs: []string{a, b}})
	res, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer)
	if res.StatusCode != http.StatusBadGateway || calls.Load() != 1 {
		t.Errorf("%s after %d calls, want 502 after one", res.Status, calls.Load())
	}
	if again := res.Header.Get("Retry-After"); again != "" || !strings.Contains(body, "may have run") {
		t.Errorf("Retry-After %q, %s: asks for a call again that may have run", again, body)
	}
	res, body = g.do(t, "GET", "/mcp", "", "Authorization", bearer) // nothing runs twice
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("a stream: %s %s, want 503 with Retry-After", res.Status, body)
	}
}

// Names of bridges are looked up while nginx runs: a container that comes back
// at another address is found. The guide's proxy_pass asks once, at the start.
func TestANameThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	old, port := listenAt(t, "127.0.0.2:0", "old")
	listenAt(t, "127.0.0.3:"+port, "new")
	dns, management := freeport.Port(t), freeport.Port(t)
	background(
		t,
		nil,
		"pebble-challtestsrv",
		"-defaultIPv4",
		old,
		"-defaultIPv6",
		"",
		"-dns01",
		fmt.Sprintf("127.0.0.1:%d", dns),
		"-http01",
		"",
		"-https01",
		"",
		"-tlsalpn01",
		"",
		"-management",
		fmt.Sprintf("127.0.0.1:%d", management),
	)
	until(t, "the name server answers", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", management))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	g := start(
		t,
		options{
			addrs:  []string{"bridge.test:" + port},
			values: stack.NginxValues{Resolver: fmt.Sprintf("127.0.0.1:%d", dns)},
		},
	)
	if _, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer); body != "old" {
		t.Fatalf("before the move: %s", body)
	}
	res, err := http.Post(
		fmt.Sprintf("http://127.0.0.1:%d/set-default-ipv4", management),
		"application/json",
		strings.NewReader(`{"ip":"127.0.0.3"}`),
	)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("move the name: %v, %v", res, err)
	}
	_ = res.Body.Close()
	until(t, "calls go to the new address", func() bool {
		_, body := g.do(t, "POST", "/mcp", "", "Authorization", bearer)
		return body == "new"
	})
}

// listenAt serves a bridge that says its name.
func listenAt(t *testing.T, addr, says string) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, says) }),
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	host, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
