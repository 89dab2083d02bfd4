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

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{room: NewRoom(1 << 20), free: make(chan struct{})}
	c.room.grace, c.room.wait = 200*time.Millisecond, 20*time.Second
	body := Body{Max: 4 << 20, Time: 20 * time.Second, Room: c.room}
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
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		c.room.mu.Lock()
		in := len(c.room.line)
		c.room.mu.Unlock()
		if in == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait, want %d", in, n)
		}
	}
}

// TestALargeBodyWaitsForRoom, a small one does not, and all are taken in the end.
func TestALargeBodyWaitsForRoom(t *testing.T) {
	c := newCrowd(t)
	var all sync.WaitGroup
	large := func(path string) {
		all.Go(func() {
			if got := c.post(path, 1<<20); got != "200 1048576" {
				t.Errorf("%s is answered %s", path, got)
			}
		})
	}
	large("/held")
	for held := 0; held < 1<<20; {
		c.room.mu.Lock()
		held = c.room.held
		c.room.mu.Unlock()
	}
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
	c := newCrowd(t)
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
	c := newCrowd(t)
	conn, err := net.Dial("tcp", c.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<20)
	_, _ = conn.Write(make([]byte, 700<<10)) // and nothing more
	for held := 0; held < 1<<20; {
		c.room.mu.Lock()
		held = c.room.held
		c.room.mu.Unlock()
	}
	time.Sleep(2 * c.room.grace) // it is not in anybody's way
	if got := c.post("/", 1<<20); got != "200 1048576" {
		t.Errorf("who waits is answered %s", got)
	}
	got, err := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 408") {
		t.Errorf("the slow one is answered %q, %v", got, err)
	}
}
