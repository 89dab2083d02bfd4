package answer

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is a server whose large bodies share a room of 1 MB. A request to /held
// gives its room back when the test says so.
type crowd struct {
	*httptest.Server
	room *Room
	free chan struct{}
}

// newCrowd gives who must keep pace so long a grace.
func newCrowd(t *testing.T, grace time.Duration) *crowd {
	t.Helper()
	c := &crowd{room: NewRoom(1 << 20), free: make(chan struct{})}
	c.room.grace, c.room.wait = grace, time.Minute
	body := Body{Max: 4 << 20, Time: time.Minute, Room: c.room}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, handed, ok := body.Read(w, r)
		if !ok {
			return
		}
		if r.URL.Path == "/held" {
			<-c.free
		}
		handed()
		handed()
		JSON(w, http.StatusOK, fmt.Append(nil, len(got)))
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *crowd) post(path string, n int) string {
	res, err := http.Post(c.URL+path, "application/json", bytes.NewReader(make([]byte, n)))
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return fmt.Sprint(res.StatusCode, " ", string(text))
}

// waits until so many bodies stand in line.
func (c *crowd) waits(t *testing.T, n int) {
	t.Helper()
	c.until(t, fmt.Sprint(n, " wait"), func() bool { return len(c.room.line) == n })
}

// fills waits until all of the room is taken.
func (c *crowd) fills(t *testing.T) {
	t.Helper()
	c.until(t, "the room is taken", func() bool { return c.room.held >= c.room.Most })
}

func (c *crowd) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		c.room.mu.Lock()
		held := holds()
		c.room.mu.Unlock()
		if held {
			return
		}
	}
	t.Fatalf("not in 20 s: %s", what)
}

// TestALargeBodyWaitsForRoom, a small one does not, and all are taken in the end.
func TestALargeBodyWaitsForRoom(t *testing.T) {
	c := newCrowd(t, 20*time.Second)
	var all sync.WaitGroup
	large := func(path string) {
		all.Go(func() {
			if got := c.post(path, 1<<20); got != "200 1048576" {
				t.Errorf("%s is answered %s", path, got)
			}
		})
	}
	large("/held")
	c.fills(t)
	large("/")
	large("/")
	c.waits(t, 2)
	if got := c.post("/", 100<<10); got != "200 102400" {
		t.Errorf("a small one is answered %s", got)
	}
	close(c.free)
	all.Wait()
	if c.room.held != 0 || len(c.room.holders)+len(c.room.line) != 0 {
		t.Errorf("after all: %d bytes, %d holders", c.room.held, len(c.room.holders))
	}
}

// TestBodiesThatAllWaitGoOn: each holds a part of the room and wants the rest.
func TestBodiesThatAllWaitGoOn(t *testing.T) {
	c := newCrowd(t, 20*time.Second)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := c.post("/", 3<<20); got != "200 3145728" {
				t.Errorf("it is answered %s", got)
			}
		})
	}
	all.Wait()
}

// TestASlowSenderLosesItsRoomToOthers, and keeps it where nobody waits.
func TestASlowSenderLosesItsRoomToOthers(t *testing.T) {
	c := newCrowd(t, 200*time.Millisecond)
	conn, err := net.Dial("tcp", c.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<20)
	_, _ = conn.Write(make([]byte, 700<<10)) // and nothing more
	c.fills(t)
	time.Sleep(2 * c.room.grace) // it is not in anybody's way
	if got := c.post("/", 1<<20); got != "200 1048576" {
		t.Errorf("who waits is answered %s", got)
	}
	got, err := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 408") {
		t.Errorf("the slow one is answered %q, %v", got, err)
	}
}
