//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/stack"
)

// The guide's own checks, with curl as it writes them.
func TestGuideHead(t *testing.T) {
	out := curl(t, "-I", "-H", "Authorization: Bearer "+token(t, stack.Alice), gate.URL+"/sse")
	for _, want := range []string{"HTTP/2 200", "content-type: text/event-stream", "strict-transport-security: max-age="} {
		if !strings.Contains(strings.ToLower(out), strings.ToLower(want)) {
			t.Errorf("curl -I printed no %q:\n%s", want, out)
		}
	}
}

func TestGuideHealth(t *testing.T) {
	if out := curl(t, gate.URL+"/health"); out != "healthy\n" {
		t.Errorf("curl printed %q, want healthy", out)
	}
}

func curl(t *testing.T, args ...string) string {
	t.Helper()
	argv := append(
		[]string{"-s", "-S", "--max-time", "10", "--cacert", gate.CAFile(), "--interface", from().String()},
		args...)
	out, err := exec.CommandContext(t.Context(), "curl", argv...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	return string(out)
}

// 31 quick requests of one address, signed in or not.
func TestGuideLimits(t *testing.T) {
	for name, set := range map[string]map[string]string{"nobody": nil, "bob": bearer(token(t, stack.Bob))} {
		t.Run(name, func(t *testing.T) {
			c := hasty(set)
			send(t, c, http.MethodGet, gate.URL+"/message") // opens the connection: the others are quick then
			var limited *http.Response
			var said string
			for end := time.Now().Add(time.Minute); limited == nil && time.Now().Before(end); {
				limited, said = thirtyOne(t, c) // a busy machine may not be quick enough each time
			}
			if limited == nil {
				t.Fatal("31 quick requests, again and again, and no 429")
			}
			if limited.Header.Get("Retry-After") == "" || !strings.Contains(said, "Rate limit exceeded") {
				t.Errorf("429 without Retry-After or the text: %v %s", limited.Header, said)
			}
			headersOnce(t, limited)
		})
	}
}

// thirtyOne sends 31 requests at once, and returns a 429 where one got it.
func thirtyOne(t *testing.T, c *http.Client) (limited *http.Response, said string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 31 {
		wg.Go(func() {
			res, body := send(t, c, http.MethodGet, gate.URL+"/message")
			mu.Lock()
			defer mu.Unlock()
			if res.StatusCode == http.StatusTooManyRequests {
				limited, said = res, body
			}
		})
	}
	wg.Wait()
	return limited, said
}

func TestNativeHeadStartsNoChild(t *testing.T) {
	before := children(t, gate.Part(stack.Bridge).Pid())
	res, _ := send(t, client(bearer(token(t, stack.Alice))), http.MethodHead, gate.URL+"/sse")
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	if after := children(t, gate.Part(stack.Bridge).Pid()); after > before {
		t.Errorf("HEAD /sse: %d children before, %d after", before, after)
	}
	open(t, token(t, stack.Alice))
	if after := children(t, gate.Part(stack.Bridge).Pid()); after <= before {
		t.Errorf("a session: %d children before, %d after; the count sees none", before, after)
	}
}

// children counts the processes that a process has started and not yet lost.
func children(t *testing.T, pid int) (n int) {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil || len(lists) == 0 {
		t.Fatalf("process %d: %v", pid, err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err == nil { // a thread may end meanwhile
			n += len(strings.Fields(string(text)))
		}
	}
	return n
}

// Loopback is none of the private ranges that may read the metrics.
func TestNativeMetricsFromOutside(t *testing.T) {
	res, body := get(t, gate.URL+"/metrics", nil)
	if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "Forbidden") {
		t.Errorf("%s %s, want 403", res.Status, body)
	}
	headersOnce(t, res)
}
