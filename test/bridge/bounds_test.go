package bridge_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refused checks a clear no: the status, a JSON-RPC error that names the bound,
// and when to come again.
func refused(t *testing.T, a *answer, status int, says string) {
	t.Helper()
	if a.Status != status || a.Error == nil || !strings.Contains(a.Error.Message, says) {
		t.Errorf("status %d, error %+v; want %d and %q", a.Status, a.Error, status, says)
		return
	}
	if again := a.Header.Get("Retry-After"); (status == 429 || status == 503) && (again == "" || again == "0") {
		t.Errorf("status %d with Retry-After %q", status, again)
	}
}

func TestBoundOfSessions(t *testing.T) {
	b := start(t, "--max-sessions", "1")
	open(t, b)
	refused(t, newClient(t, b.base+"/mcp", nil).post(initialize), http.StatusServiceUnavailable, "1 sessions are open")
	res, err := http.Get(b.base + "/sse")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(string(raw), `{"jsonrpc":"2.0"`) ||
		res.Header.Get("Retry-After") == "" {
		t.Errorf("/sse answers %s %s", res.Status, raw)
	}
}

func TestBoundOfAUsersSessions(t *testing.T) {
	b, a := startSigned(t, "--max-user-sessions", "1", "--user-sessions-at", "refuse")
	alice := a.header(t, "alice", "s1", time.Hour)
	enter(t, b, alice)
	refused(t, newClient(t, b.base+"/mcp", alice).post(initialize), http.StatusTooManyRequests, "for this user")
	enter(t, b, a.header(t, "bob", "s2", time.Hour))
	all := start(t, "--max-user-sessions", "1") // --identity none: everybody is one user
	open(t, all)
	open(t, all)
}

func TestBoundOfCalls(t *testing.T) {
	b := start(t, "--max-calls", "1", "--drain-time", "1s")
	c := open(t, b)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil { // again, where the echo below was there first
			if res, err := http.DefaultClient.Do(c.request(ctx, http.MethodPost, callBody(50, "hang", "", 0))); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		}
	}()
	var a *answer
	eventually(t, "a second call is refused", func() bool {
		a = c.call("echo", "", 0)
		return a.Status != http.StatusOK
	})
	refused(t, a, http.StatusTooManyRequests, "1 calls are in flight")
	leave()
	<-done
}

func TestBoundOfARequest(t *testing.T) {
	b := start(t, "--max-body", "1024")
	c := open(t, b)
	refused(t, c.call("echo", strings.Repeat("x", 2000), 0), http.StatusRequestEntityTooLarge, "longer than 1024 bytes")
	s := openSSE(t, b.base, "/sse", nil)
	if status := s.send(b.base,
		callBody(1, "echo", strings.Repeat("x", 2000), 0)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("/message answers %d", status)
	}
}

func TestBoundOfAStart(t *testing.T) {
	b := startArgs(t, "--start-time", "500ms", "--", "sleep", "60")
	refused(
		t,
		newClient(t, b.base+"/mcp", nil).post(initialize),
		http.StatusServiceUnavailable,
		"did not answer initialize in time",
	)
	eventually(t, "the child is gone", func() bool { return childrenOf(b.cmd.Process.Pid) == guardian })
}

func TestBoundOfAnIdleSession(t *testing.T) {
	b := start(t, "--session-idle", "1s")
	c := open(t, b)
	var kept *client
	eventually(t, "a session has a stream before it is idle for too long", func() bool {
		kept = open(t, b)
		res, err := http.DefaultClient.Do(kept.request(t.Context(), http.MethodGet, "")) // which keeps it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res.StatusCode == http.StatusOK
	})
	eventually(t, "the idle child is gone", func() bool { return childrenOf(b.cmd.Process.Pid) == guardian+1 })
	refused(t, c.call("echo", "", 0), http.StatusNotFound, "no such session")
	if got := kept.says("echo", "kept", 0); got != "kept" {
		t.Errorf("the session with a stream answers %q", got)
	}
}

func TestBoundOfASessionsAge(t *testing.T) {
	b := start(t, "--session-age", "1s")
	s := openSSE(t, b.base, "/sse", nil)
	begin := time.Now()
	if _, err := nextEvent(s.Reader); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("the stream went on for %s (%v)", time.Since(begin), err)
	}
	if status := s.send(b.base, initialize); status != http.StatusNotFound {
		t.Errorf("the old session answers %d", status)
	}
}

// streamUntil starts a call that makes progress, and leaves its stream after
// n events.
func streamUntil(t *testing.T, c *client, n int) event {
	t.Helper()
	res, err := http.DefaultClient.Do(c.request(t.Context(), http.MethodPost, callBody(60, "progress", "", 10)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var e event
	br := bufio.NewReader(res.Body)
	for range n {
		if e, err = nextEvent(br); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// resume reads what Last-Event-ID brings, to the stream's end.
func resume(t *testing.T, c *client, last string) []event {
	t.Helper()
	req := c.request(t.Context(), http.MethodGet, "")
	req.Header.Set("Last-Event-ID", last)
	return readEvents(t, listen(t, req))
}

func TestResumedStreamMissesNothing(t *testing.T) {
	c := open(t, start(t))
	left := streamUntil(t, c, 2)
	rest := resume(t, c, left.id)
	if len(rest) != 9 || !strings.Contains(rest[0].data, `"progress":2`) || !strings.Contains(rest[8].data, `"done"`) {
		t.Errorf("after %+v came %+v", left, rest)
	}
	if again := resume(t, c, left.id); len(again) != 9 {
		t.Errorf("a second return brings %d events", len(again))
	}
}

func TestBoundOfTheReplayBuffer(t *testing.T) {
	c := open(t, start(t, "--max-replay", "250"))
	left := streamUntil(t, c, 1)
	resume(t, c, left.id)
	if again := resume(t, c, left.id); len(again) == 0 || len(again) > 3 ||
		!strings.Contains(again[len(again)-1].data, `"done"`) {
		t.Errorf("of 250 bytes came %d events", len(again))
	}
}

func TestDrainLetsACallFinish(t *testing.T) {
	b := start(t, "--drain-time", "10s")
	c := open(t, b)
	s := openSSE(t, b.base, "/sse", nil)
	res, err := http.DefaultClient.Do(c.request(t.Context(), http.MethodPost, callBody(60, "progress", "", 20)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	br := bufio.NewReader(res.Body)
	if _, err := nextEvent(br); err != nil {
		t.Fatal(err)
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	events := readEvents(t, br)
	if len(events) == 0 || !strings.Contains(events[len(events)-1].data, `"done"`) {
		t.Errorf("the call in flight ended with %+v", events)
	}
	if _, err := nextEvent(s.Reader); err == nil {
		t.Error("the idle stream goes on")
	}
	<-b.ended
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestDrainGivesUpAtItsBound(t *testing.T) {
	b := start(t, "--drain-time", "500ms")
	c := open(t, b)
	done := make(chan *answer)
	go func() { done <- c.post(callBody(60, "hang", "", 0)) }()
	eventually(t, "the call hangs", func() bool { return strings.Contains(c.says("told", "", 0), "hanging") })
	begin := time.Now()
	b.stop(t)
	if took := time.Since(begin); took > 8*time.Second { // and the child's own 5 s ladder
		t.Errorf("the end took %s", took)
	}
	<-done
}
