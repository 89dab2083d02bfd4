package bridge_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestSilentPosts: a thousand requests that promise 8 MB each and send nothing
// cost what they sent, and are timed out, those that nobody would read too.
func TestSilentPosts(t *testing.T) {
	const many, mostKB = 1000, 150 << 10
	b := start(t, "--body-time", "8s")
	addr := strings.TrimPrefix(b.base, "http://")
	conns := make([]net.Conn, many)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
		path := []string{"/mcp", "/message?sessionId=x", "/nothing", "/servers/x/mcp"}[i%4]
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
			"Content-Length: 8388608\r\n\r\n{", path, addr); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the bridge answers beside them", func() bool { return open(t, b).says("echo", "here", 0) == "here" })
	rss := residentKB(t, b.cmd.Process.Pid, "VmRSS")
	t.Logf("RSS is %d MB with %d silent requests", rss>>10, many)
	if rss > mostKB {
		t.Errorf("RSS is %d MB, want less than %d", rss>>10, mostKB>>10)
	}
	for i, conn := range conns {
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		answer, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil && os.IsTimeout(err) {
			t.Fatalf("%d is not timed out", i)
		}
		if want := " 408 "; i%4 == 0 && !strings.Contains(answer, want) {
			t.Fatalf("%d is answered %q, %v; want%s", i, answer, err, want)
		}
	}
}
