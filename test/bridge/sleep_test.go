package bridge_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// TestASessionSleeps: its child goes and its streams stay, the next call finds a
// child that has heard what the last one heard, and a stop ends what sleeps.
func TestASessionSleeps(t *testing.T) {
	for _, isolation := range []string{"session", "user"} {
		t.Run(isolation, func(t *testing.T) {
			admin := freeport.Addr(t)
			file := writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"),
				`"a": {`+self()+`, "gatehouse": {"sleep": "1s"}}`)
			b := startArgs(t, "--config", file, "--isolation", isolation, "--admin-listen", admin)
			pid := b.cmd.Process.Pid
			c := open(t, b)
			heard := listen(t, c.request(t.Context(), http.MethodGet, ""))
			older := openSSE(t, b.base, "/sse", nil)
			older.send(b.base, initialize)
			if e, err := nextEvent(older.Reader); err != nil || !strings.Contains(e.data, `"result"`) {
				t.Fatalf("initialize is answered %+v, %v", e, err)
			}
			c.post(`{"jsonrpc":"2.0","id":"l","method":"logging/setLevel","params":{"level":"warning"}}`)
			asleep := func() bool {
				return childrenOf(pid) == guardian && gauge(t, admin, `gatehouse_sessions_asleep{gatehouse_server="a"}`) == 2
			}
			eventually(t, "both sleep", asleep)
			if status, text := get(t, b.base+"/health"); status != http.StatusOK {
				t.Errorf("health: %d %s", status, text)
			}
			if told := c.says("told", "", 0); isolation == "session" && !strings.Contains(told, "level warning") {
				t.Errorf("the new child heard %q", told)
			}
			if isolation == "session" { // with others it comes with the call
				c.post(callBody(70, "flood", "", 1))
				if e, err := nextEvent(heard.Reader); err != nil || !strings.Contains(e.data, "notifications/message") {
					t.Errorf("the standing stream says %.100s, %v", e.data, err)
				}
			}
			older.send(b.base, callBody(71, "echo", "awake", 0))
			if e, err := nextEvent(older.Reader); err != nil || !strings.Contains(e.data, "awake") {
				t.Errorf("the older client is answered %+v, %v", e, err)
			}
			if n := gauge(t, admin, `gatehouse_session_wake_duration_seconds_count{gatehouse_server="a"}`); n < 2 {
				t.Errorf("%v wakes are counted", n)
			}
			if isolation == "session" {
				eventually(t, "both sleep again", asleep)
			}
			began := time.Now()
			b.stop(t)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the bridge stops in %s", took)
			}
		})
	}
}

// TestASleepersLoginEnds: the session is over, and no child was needed for that.
func TestASleepersLoginEnds(t *testing.T) {
	b, a := startSigned(t, "--sleep", "1s")
	pid := b.cmd.Process.Pid
	c := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	eventually(t, "it sleeps", func() bool { return childrenOf(pid) == guardian })
	heard := listen(t, c.request(t.Context(), http.MethodGet, ""))
	a.end("s1")
	if e, err := nextEvent(heard.Reader); err == nil {
		t.Errorf("the stream says %+v", e)
	}
	if res := c.post(callBody(1, "echo", "x", 0)); res.Status != http.StatusNotFound || childrenOf(pid) != guardian {
		t.Errorf("a call is answered %s", fmt.Sprintf("%+v", res))
	}
}
