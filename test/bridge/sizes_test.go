package bridge_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// TestResultOf60MB: an RSS under 4 times its size, and no more than 3 s; about 0.2
// are usual. The time is that of the bridge's own processors, which other tests on
// this machine hardly lengthen; the wall clock is printed.
func TestResultOf60MB(t *testing.T) {
	const size = 60 << 20
	b := start(t)
	c := open(t, b)
	c.says("echo", "warm", 0)
	cpu, begin := cpuTime(t, b.cmd.Process.Pid), time.Now()
	c.passes(1, size)
	took := time.Since(begin)
	cpu = cpuTime(t, b.cmd.Process.Pid) - cpu
	peak := residentKB(t, b.cmd.Process.Pid, "VmHWM")
	t.Logf(
		"%d MB in %s, CPU %s, peak RSS %d MB (%.1f times the size)",
		size>>20,
		took,
		cpu,
		peak>>10,
		float64(peak)*1024/size,
	)
	if cpu > 3*time.Second {
		t.Errorf("it took %s of the processors", cpu)
	}
	if peak > 4*size>>10 {
		t.Errorf("the peak of the RSS was %d KB, more than 4 times the size", peak)
	}
}

// TestResultsCostTheirBytes: 60 MB in one line cost the bridge what they cost
// in ten lines of 6 MB. Work that grows faster than the line would show ten
// times as much.
func TestResultsCostTheirBytes(t *testing.T) {
	const size = 60 << 20
	b := start(t)
	c := open(t, b)
	cost := func(parts int) time.Duration {
		before := cpuTime(t, b.cmd.Process.Pid)
		c.passes(parts, size/parts)
		return cpuTime(t, b.cmd.Process.Pid) - before
	}
	cost(1)
	cost(10)
	var whole, parts []time.Duration
	for range 5 { // in turns: what else runs on the machine is the same for both
		whole, parts = append(whole, cost(1)), append(parts, cost(10))
	}
	slices.Sort(whole)
	slices.Sort(parts)
	t.Logf("one line of 60 MB: %s, ten of 6 MB: %s of the processors", whole[2], parts[2])
	if whole[2] > 5*parts[2] {
		t.Errorf("one line of 60 MB cost %s, ten of 6 MB %s", whole[2], parts[2])
	}
}

// passes takes n results of the size, and keeps none.
func (c *client) passes(n, size int) {
	c.t.Helper()
	for range n {
		c.last++
		res, err := http.DefaultClient.Do(c.request(c.t.Context(), http.MethodPost, callBody(c.last, "big", "", size)))
		if err != nil {
			c.t.Fatal(err)
		}
		got, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || got < int64(size) {
			c.t.Fatalf("%d bytes of %d, %v", got, size, err)
		}
	}
}

// cpuTime is what a process has used of the processors (proc_pid_stat(5),
// utime and stime, in ticks of 10 ms).
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest) // from the third on
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestSessionsLeaveNothing opens and closes 500 sessions of both older eras.
func TestSessionsLeaveNothing(t *testing.T) {
	admin := freeport.Addr(t)
	b := start(t, "--admin-listen", admin, "--max-user-sessions", "600")
	pid := b.cmd.Process.Pid
	life := func() { // of one session
		c := open(t, b)
		c.says("echo", "x", 0)
		res, err := http.DefaultClient.Do(c.request(t.Context(), http.MethodDelete, ""))
		if err != nil {
			t.Error(err)
			return
		}
		_ = res.Body.Close()
	}
	lifeSSE := func() {
		s := openSSE(t, b.base, "/sse", nil)
		s.send(b.base, initialize)
		if _, err := nextEvent(s.Reader); err != nil {
			t.Error(err)
		}
		s.close()
	}
	life()
	lifeSSE()
	quiet := func() bool { http.DefaultClient.CloseIdleConnections(); return childrenOf(pid) == guardian }
	eventually(t, "the first children are gone", quiet)
	files, goroutines := filesOf(pid), gauge(t, admin, "go_goroutines")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 25 {
				life()
				lifeSSE()
			}
		})
	}
	wg.Wait()
	eventually(t, "every child is gone", quiet)
	eventually(t, "every descriptor is closed", func() bool { return filesOf(pid) <= files })
	eventually(
		t,
		"every goroutine has ended",
		func() bool { quiet(); return gauge(t, admin, "go_goroutines") <= goroutines },
	)
	if n := gauge(t, admin, "gatehouse_sessions"); n != 0 {
		t.Errorf("%v sessions are still open", n)
	}
}

// TestIdleStreams opens 2,000 SSE streams on one child, and makes a call on
// each. What a stream weighs is in make bench, beside the bare handler.
func TestIdleStreams(t *testing.T) {
	const streams = 2000
	admin := freeport.Addr(t)
	b := start(
		t,
		"--isolation",
		"shared",
		"--admin-listen",
		admin,
		"--max-sessions",
		"2100",
		"--max-user-sessions",
		"2100",
	)
	before, goroutines := residentKB(t, b.cmd.Process.Pid, "VmRSS"), gauge(t, admin, "go_goroutines")
	all := make([]*sseClient, streams)
	for i := range all {
		all[i] = openSSE(t, b.base, "/sse", nil)
		if i%100 == 0 {
			http.DefaultClient.CloseIdleConnections()
		}
	}
	after := residentKB(t, b.cmd.Process.Pid, "VmRSS")
	t.Logf(
		"%.1f KB and %.1f goroutines a stream",
		float64(after-before)/streams,
		(gauge(t, admin, "go_goroutines")-goroutines)/streams,
	)
	for i, c := range all {
		c.send(b.base, callBody(1, "echo", fmt.Sprintf("stream %d", i), 0))
	}
	for i, c := range all {
		e, err := nextEvent(c.Reader)
		if err != nil || !strings.Contains(e.data, fmt.Sprintf(`"stream %d"`, i)) {
			t.Fatalf("stream %d got %.100s, %v", i, e.data, err)
		}
	}
}

// gauge reads one figure of the admin listener.
func gauge(t *testing.T, admin, name string) float64 {
	t.Helper()
	res, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	_, rest, ok := strings.Cut(string(raw), "\n"+name+" ")
	var v float64
	if _, scanErr := fmt.Sscan(rest, &v); err != nil || !ok || scanErr != nil {
		t.Fatalf("no %s in the metrics (%v)", name, err)
	}
	return v
}
