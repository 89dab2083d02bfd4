package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const codeInternal = -32603

func TestChildKilledMidCall(t *testing.T) {
	b := start(t)
	c := open(t, b)
	a := c.call("die", "last words", 0)
	if a.Error == nil || a.Error.Code != codeInternal || !strings.Contains(a.Error.Message, "exit status 3") ||
		a.Error.Data.Stderr != "last words" {
		t.Fatalf("the call in flight got %+v; want %d with the exit and the last line", a.Error, codeInternal)
	}
	if told := c.says("told", "", 0); told != "initialize, notifications/initialized" {
		t.Errorf("the new child heard %q; want the handshake once", told)
	}
	pid, _ := strconv.Atoi(c.says("pid", "", 0))
	done := make(chan *answer)
	go func() { done <- c.post(callBody(99, "hang", "", 0)) }()
	eventually(t, "the call hangs", func() bool { return strings.Contains(c.says("told", "", 0), "hanging") })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.Error == nil || !strings.Contains(a.Error.Message, "killed") {
		t.Errorf("the call got %+v; want the signal named", a.Error)
	}
}

func TestNewChildLearnsLevelAndSubscriptions(t *testing.T) {
	b := start(t)
	c := open(t, b)
	c.post(`{"jsonrpc":"2.0","id":"l","method":"logging/setLevel","params":{"level":"warning"}}`)
	c.post(`{"jsonrpc":"2.0","id":"s","method":"resources/subscribe","params":{"uri":"file:///a"}}`)
	c.call("die", "", 0)
	told := c.says("told", "", 0)
	if !strings.Contains(told, "level warning") || !strings.Contains(told, "subscribe file:///a") {
		t.Errorf("the new child heard %q", told)
	}
}

func TestChildThatWritesGarbage(t *testing.T) {
	b := start(t)
	c := open(t, b)
	pid := c.says("pid", "", 0)
	if got := c.says("garbage", "", 0); got != "after the garbage" {
		t.Errorf("answer %q", got)
	}
	if again := c.says("pid", "", 0); again != pid {
		t.Errorf("the child was %s and is %s; garbage is no reason to end it", pid, again)
	}
	eventually(
		t,
		"the log tells of it",
		func() bool { return strings.Contains(b.log.String(), "that is no JSON-RPC message") },
	)
	if strings.Contains(b.log.String(), "this is no JSON") {
		t.Error("the garbage itself is in the log")
	}
}

func TestChildThatNeverAnswers(t *testing.T) {
	b := start(t, "--call-time", "1s")
	c := openInHaste(t, b)
	a := c.call("hang", "", 0)
	if a.Error == nil || a.Error.Code != codeInternal || !strings.Contains(a.Error.Message, "within 1s") {
		t.Errorf("answer %+v; want the bound named", a.Error)
	}
	eventually(t, "the child is told", func() bool { return strings.Contains(c.call("told", "", 0).text(), "cancelled") })
}

func TestProgressExtendsTheTimeOfACall(t *testing.T) {
	c := openInHaste(t, start(t, "--call-time", "1s"))
	// For 2.5 s; on a busy machine two parts of it may lie more than one apart.
	eventually(t, "the call is done", func() bool { return c.call("progress", "", 50).text() == "done" })
}

// TestChildThatFloods: 64 MB while nobody reads are over the bound of the
// stream that the call made, so that stream ends. The bridge keeps none of it,
// and the others wait for nothing.
func TestChildThatFloods(t *testing.T) {
	b := start(t, "--max-queue", "1048576")
	c, other := open(t, b), open(t, b)
	res, err := http.DefaultClient.Do(c.request(t.Context(), http.MethodPost, callBody(1000000, "flood", "", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for range 20 {
		if got := other.says("echo", "calm", 0); got != "calm" {
			t.Errorf("answer %q", got)
		}
	}
	// Nobody calls meanwhile: what belongs to no call goes to the newest one.
	eventually(t, "the flood is over", func() bool { return b.logged("the flood is over") > 0 })
	if told := c.says("told", "", 0); !strings.Contains(told, "flooded") {
		t.Errorf("the child was told %q", told)
	}
	if got := c.says("echo", "still there", 0); got != "still there" {
		t.Errorf("answer %q after the flood", got)
	}
	if peak := residentKB(t, b.cmd.Process.Pid, "VmHWM"); peak > 56<<10 {
		t.Errorf("the peak of the RSS was %d KB while 64 MB waited for nobody", peak)
	}
	if n, err := io.Copy(io.Discard, res.Body); err == nil || n > 32<<20 {
		t.Errorf("the stream that nobody read told %d bytes and ended with %v", n, err)
	}
}

func TestChildWithoutLineEnds(t *testing.T) {
	b := start(t, "--max-line", "1048576")
	c := open(t, b)
	a := c.call("endless", "", 0)
	if a.Error == nil || !strings.Contains(a.Error.Message, "1048576 bytes") {
		t.Errorf("answer %+v; want the bound named", a.Error)
	}
	if got := c.says("echo", "again", 0); got != "again" {
		t.Errorf("answer %q from the next child", got)
	}
}

func TestClientThatVanishes(t *testing.T) {
	b := start(t, "--gone-time", "1s")
	c := open(t, b)
	ctx, vanish := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := http.DefaultClient.Do(c.request(ctx, http.MethodPost, callBody(5000, "hang", "", 0))); err == nil {
			_ = res.Body.Close()
		}
	}()
	eventually(t, "the call hangs", func() bool { return strings.Contains(c.says("told", "", 0), "hanging") })
	vanish()
	<-gone
	eventually(t, "the child is told", func() bool { return strings.Contains(c.says("told", "", 0), "cancelled") })
}

func TestClientThatNeverReads(t *testing.T) {
	b := start(t, "--isolation", "shared", "--max-queue", "1048576")
	deaf := openSSE(t, b.base, "/sse", nil)
	deaf.send(b.base, initialize)
	other := openSSE(t, b.base, "/sse", nil)
	other.send(b.base, initialize)
	for i := range 40 { // 40 MB to one who does not read
		if deaf.send(b.base, callBody(i+1, "big", "", 1<<20)) != http.StatusAccepted {
			break
		}
	}
	eventually(t, "the session of the deaf client has ended", func() bool {
		return deaf.send(b.base, callBody(99, "echo", "", 0)) == http.StatusNotFound
	})
	other.send(b.base, callBody(7, "echo", "heard", 0))
	for {
		e, err := nextEvent(other.Reader)
		if err != nil {
			t.Fatalf("the other's stream ended: %v", err)
		}
		if strings.Contains(e.data, "bbbb") {
			t.Fatal("the other got the deaf client's answer")
		}
		if strings.Contains(e.data, `"heard"`) {
			return
		}
	}
}

func TestBridgeKilledLeavesNoOrphan(t *testing.T) {
	b := start(t)
	c := open(t, b)
	child, _ := strconv.Atoi(c.says("pid", "", 0))
	inGroup, _ := strconv.Atoi(c.says("family", "", 0))
	apart, _ := strconv.Atoi(c.says("family", "apart", 0))
	for _, pid := range []int{child, inGroup, apart} {
		if !alive(pid) {
			t.Fatalf("process %d is not there", pid)
		}
	}
	t.Cleanup(func() {
		for _, pid := range []int{inGroup, apart} {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	eventually(t, "the child is gone", func() bool { return !alive(child) })
	eventually(t, "the grandchild in the child's group is gone", func() bool { return !alive(inGroup) })
	eventually(t, "the grandchild in a session of its own is gone", func() bool { return !alive(apart) })
}

// TestASessionsEndLeavesNoFamily, while the bridge lives and its guardian waits.
func TestASessionsEndLeavesNoFamily(t *testing.T) {
	c := open(t, start(t))
	inGroup, _ := strconv.Atoi(c.says("family", "", 0))
	t.Cleanup(func() { _ = syscall.Kill(inGroup, syscall.SIGKILL) })
	if !alive(inGroup) {
		t.Fatalf("process %d is not there", inGroup)
	}
	res, err := http.DefaultClient.Do(c.request(t.Context(), http.MethodDelete, ""))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	eventually(t, "the grandchild is gone", func() bool { return !alive(inGroup) })
}

func TestBridgeStoppedLeavesNoOrphan(t *testing.T) {
	b := start(t)
	c := open(t, b)
	child, _ := strconv.Atoi(c.says("pid", "", 0))
	inGroup, _ := strconv.Atoi(c.says("family", "", 0))
	b.stop(t)
	if alive(child) {
		t.Error("the child outlives the bridge")
	}
	eventually(t, "the grandchild is gone", func() bool { return !alive(inGroup) }) // killed, and nobody waits for it
}

func TestLargeRequestAndResult(t *testing.T) {
	b := start(t)
	c := open(t, b)
	if got := c.says("length", strings.Repeat("r", 4<<20), 0); got != strconv.Itoa(4<<20) {
		t.Errorf("the child got %s bytes of a 4 MB request", got)
	}
	if got := c.says("big", "", 20<<20); len(got) != 20<<20 {
		t.Errorf("%d bytes of a 20 MB result came back", len(got))
	}
}

func TestChildThatExitsAtItsStart(t *testing.T) {
	b := startArgs(t, "--", "sh", "-c", "echo no such thing >&2; exit 4")
	var last *answer
	ask := func() {
		last = newClient(t, b.base+"/mcp", nil).post(initialize)
		if last.Error == nil || !strings.Contains(last.Error.Message, "exit status 4") {
			t.Fatalf("answer %+v; want the exit named", last.Error)
		}
	}
	eventually(t, "the breaker answers", func() bool {
		ask()
		return last.Status == http.StatusServiceUnavailable
	})
	if last.Header.Get("Retry-After") == "" || !strings.Contains(last.Error.Message, "cannot start") {
		t.Errorf("%+v, %+v; want the breaker's Retry-After", last.Header, last.Error)
	}
	begin := time.Now()
	ask()
	if took := time.Since(begin); took > 10*time.Second { // it waits for nothing; a start may take 30 s
		t.Errorf("the breaker took %s", took)
	}
}

func TestSharedChildsLateRequestIsRefused(t *testing.T) {
	b := start(t, "--isolation", "shared", "--gone-time", "1s")
	first, second := open(t, b), open(t, b)
	// The first client's call asks; the client gives the call up, so nothing
	// the child says later may be taken for the second client's.
	ctx, leave := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := http.DefaultClient.Do(first.request(ctx, http.MethodPost, callBody(1, "hang", "", 0))); err == nil {
			_ = res.Body.Close()
		}
	}()
	eventually(t, "the call hangs", func() bool { return strings.Contains(second.says("told", "", 0), "hanging") })
	leave()
	<-gone
	eventually(t, "the child is told", func() bool { return strings.Contains(second.says("told", "", 0), "cancelled") })
	a := second.call("ask", "who", 0)
	var refused struct{ Code int }
	if a.Method != "" || json.Unmarshal([]byte(a.text()), &refused) != nil || refused.Code == 0 {
		t.Errorf("the second client got %+v, and its child %q; want the child refused", a, a.text())
	}
}

func TestWarmChildren(t *testing.T) {
	b := start(t, "--warm", "2")
	eventually(t, "two children wait", func() bool { return childrenOf(b.cmd.Process.Pid) == guardian+2 })
	c := open(t, b)
	if told := c.says("told", "", 0); told != "initialize, notifications/initialized" {
		t.Errorf("the warm child heard %q", told)
	}
	eventually(t, "its place is filled", func() bool { return childrenOf(b.cmd.Process.Pid) == guardian+3 })
	if got := c.says("user", "", 0); got != "local" {
		t.Errorf("the child's user is %q", got)
	}
	if fmt.Sprint(c.says("pid", "", 0)) == "" {
		t.Error("no pid")
	}
}

// TestALogThatNobodyReadsHoldsUpNoChild: the bridge writes to a pipe that is
// full, and answers, and learns of a child's end.
func TestALogThatNobodyReadsHoldsUpNoChild(t *testing.T) {
	unread, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := startLogging(t, log, own()...)
	_ = log.Close()
	defer unread.Close()
	c := open(t, b)
	if a := c.call("shout", "", 2000); a.text() != "shouted" {
		t.Errorf("the call is answered %+v", a)
	}
	if a := c.call("die", "last words", 0); a.Error == nil || !strings.Contains(a.Error.Message, "exit status 3") {
		t.Errorf("the call of a child that ended is answered %+v", a)
	}
	if a := c.call("echo", "again", 0); a.text() != "again" {
		t.Errorf("a new child answers %+v", a)
	}
}
