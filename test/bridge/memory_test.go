package bridge_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The bound of what strangers and servers can make the bridge hold. The figures
// of docs/bridge.md are those of MEMORY_SESSIONS=1000.
const maxResident = 150 << 10 // KB

// underBound checks the most that the bridge ever held, and tells it.
func underBound(t *testing.T, b *bridge, after string) {
	t.Helper()
	most, now := residentKB(t, b.cmd.Process.Pid, "VmHWM"), residentKB(t, b.cmd.Process.Pid, "VmRSS")
	t.Logf("memory: %s: %d MB at most, %d MB now", after, most>>10, now>>10)
	if most > maxResident {
		t.Errorf("%s: %d MB at most, %d MB now; want less than %d", after, most>>10, now>>10, maxResident>>10)
	}
}

// TestMemoryOfTheLargestInitialize: nothing is kept of what a client sends but
// what a new child needs, and what is on its way is bounded, however many send.
func TestMemoryOfTheLargestInitialize(t *testing.T) {
	sessions := 100
	if n, err := strconv.Atoi(os.Getenv("MEMORY_SESSIONS")); err == nil {
		sessions = n
	}
	const head = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
		`"capabilities":{},"clientInfo":{"name":"large","version":"1","icons":["`
	const tail = `"]}}}`
	body := head + strings.Repeat("x", 8<<20-len(head)-len(tail)) + tail
	for _, parallel := range []int{2, 4, 16} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			b := start(t, "--isolation", "shared")
			var left atomic.Int32
			var all sync.WaitGroup
			left.Store(int32(sessions))
			for range parallel {
				all.Go(func() {
					for left.Add(-1) >= 0 && !t.Failed() {
						openLarge(t, b, body)
					}
				})
			}
			all.Wait()
			underBound(t, b, fmt.Sprintf("%d sessions, each opened by 8 MB, %d at a time", sessions, parallel))
		})
	}
}

func openLarge(t *testing.T, b *bridge, body string) {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, b.base+"/mcp", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Mcp-Session-Id") == "" {
		t.Errorf("initialize is answered %s", res.Status)
	}
}

// TestMemoryOfAServerThatAsksAndDoesNotRead: 100,000 of its requests are
// refused, and it reads none of the refusals.
func TestMemoryOfAServerThatAsksAndDoesNotRead(t *testing.T) {
	b := start(t, "--isolation", "shared", "--drain-time", "1s")
	c := open(t, b)
	begun := time.Now()
	hung := make(chan struct{})
	go func() {
		defer close(hung)
		c.post(callBody(50, "nag", "", 100_000))
	}()
	eventually(t, "the server has asked", func() bool { return strings.Contains(b.log.String(), "nagged") })
	underBound(t, b, "100,000 requests of a server that reads nothing")
	if d := time.Since(begun); d > 15*time.Second {
		t.Errorf("after %s", d)
	}
	b.stop(t)
	<-hung
}
