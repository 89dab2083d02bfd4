//go:build unix

package audit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/bridge/internal/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = bytes.Repeat([]byte("k"), 32)

func open(t *testing.T, path string, failed func(error)) *audit.Sink {
	t.Helper()
	s, err := audit.Open(path, key, failed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestOneLineACall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	s := open(t, path, nil)
	args := []byte(`{"text":"salary"}`)
	s.Write(
		&audit.Record{
			Program:  "bridge",
			User:     "u-1",
			Server:   "slack",
			Method:   "tools/call",
			Tool:     "a\nb",
			Outcome:  "allowed",
			ArgsHash: s.Hash(args),
		},
	)
	s.Close()
	got := lines(t, path)
	if len(got) != 1 || s.Written() != 1 || s.Dropped() != 0 {
		t.Fatalf("lines = %q, written %d, dropped %d", got, s.Written(), s.Dropped())
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(got[0]), &r); err != nil || r["tool"] != "a\nb" || r["user"] != "u-1" {
		t.Errorf("%s: %v", got[0], err)
	}
	if strings.Contains(got[0], "salary") || len(r["args_hash"].(string)) != 32 {
		t.Errorf("arguments in %s", got[0])
	}
	if s.Hash(args) != s.Hash([]byte(`{"text":"salary"}`)) || s.Hash(args) == s.Hash([]byte(`{"text":"salarz"}`)) {
		t.Error("the hash does not tell equal from unequal arguments")
	}
}

// FuzzRecord: whatever stands in a record, its line is that record in JSON.
func FuzzRecord(f *testing.F) {
	f.Add("send_message", "u-1", "ok", `{"a":1}`, 1.5, 7)
	f.Add("a\n\"\\\x7f\xff\u2028", "", "denied", "", 0.0, -1)
	path := filepath.Join(f.TempDir(), "audit.jsonl")
	s, err := audit.Open(path, key, nil)
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	f.Fuzz(func(t *testing.T, tool, user, outcome, args string, ms float64, n int) {
		if math.IsNaN(ms) || math.IsInf(ms, 0) || args != "" && (!json.Valid([]byte(args)) || strings.Contains(args, "\n")) {
			return
		}
		r := audit.Record{
			Time:    time.Unix(1e9, 5),
			Tool:    tool,
			User:    user,
			Outcome: outcome,
			Rule:    tool,
			Millis:  ms,
			BytesIn: n,
			Args:    json.RawMessage(args),
		}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		s.Write(&r)
		if err := s.Reopen(); err != nil { // writes what waits
			t.Fatal(err)
		}
		got := lines(t, path)
		var a, b map[string]any
		if len(got) != 1 || json.Unmarshal([]byte(got[0]), &a) != nil || json.Unmarshal(want, &b) != nil {
			t.Fatalf("%q, want %s", got, want)
		}
		delete(a, "time")
		delete(b, "time")
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s, want %s", got[0], want)
		}
	})
}

// TestTimes: the date of a second is kept for its other lines, and for no line
// of another second.
func TestTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	s := open(t, path, nil)
	east := time.FixedZone("east", 5*3600)
	times := []time.Time{
		time.Unix(0, 0), time.Unix(1e9, 5), time.Unix(1e9, 120_000_000), time.Unix(1e9, 0), time.Unix(1e9-1, 999_999_999),
		time.Unix(1e9, 10).In(east), time.Unix(-1, 1), time.Unix(-1, 999_000), {}, time.Now(),
	}
	for _, at := range times {
		s.Write(&audit.Record{Time: at})
	}
	s.Close()
	for i, line := range lines(t, path) {
		if want := `{"time":"` + times[i].UTC().Format(time.RFC3339Nano) + `",`; !strings.HasPrefix(line, want) {
			t.Errorf("%s, want it to begin with %s", line, want)
		}
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	s := open(t, path, nil)
	s.Write(&audit.Record{Tool: "before"})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	s.Write(&audit.Record{Tool: "after"})
	s.Close()
	all := append(lines(t, path+".1"), lines(t, path)...)
	if joined := strings.Join(all, "\n"); !strings.Contains(joined, "before") || !strings.Contains(joined, "after") {
		t.Errorf("a line is lost: %s", joined)
	}
	if err := s.Reopen(); err == nil {
		t.Error("a closed sink reopened")
	}
}

// notHeldUp is far more than so many records take, and far less than they would
// if each waited for a pipe that nobody reads.
const notHeldUp = 30 * time.Second

// TestASlowSinkNeverBlocks: what does not fit is counted, and what is said to be
// written is there for whoever reads at last.
func TestASlowSinkNeverBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0) // holds it open and reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pipe.Close() }()
	s := open(t, path, nil)
	start := time.Now()
	const many = 20_000
	for range many {
		s.Write(&audit.Record{Tool: strings.Repeat("x", 100)})
	}
	if took := time.Since(start); took > notHeldUp {
		t.Errorf("%d calls took %v", many, took)
	}
	if s.Dropped() == 0 {
		t.Error("nothing was dropped, so nothing was full")
	}
	const end = "the end"
	read := make(chan uint64, 1)
	go func() { read <- whole(pipe, end) }()
	sent := uint64(many)
	until(t, "there is room again", func() bool {
		before := s.Dropped()
		s.Write(&audit.Record{Tool: "later"})
		sent++
		return s.Dropped() == before
	})
	s.Close()
	if _, err := pipe.WriteString("\n" + end + "\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-read:
		if got < s.Written() || s.Written()+s.Dropped() != sent {
			t.Errorf("%d read, %d written, %d dropped of %d", got, s.Written(), s.Dropped(), sent)
		}
	case <-time.After(time.Minute):
		t.Fatal("what was written does not come out of the pipe")
	}
}

// whole counts the records up to the end. A line that was cut off is none.
func whole(r io.Reader, end string) (n uint64) {
	in := bufio.NewScanner(r)
	for in.Scan() && in.Text() != end {
		if json.Valid(in.Bytes()) {
			n++
		}
	}
	return n
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("not in a minute: %s", what)
}

// TestAPipeThatNobodyReads holds up neither the start, nor a call, nor a
// rotation, nor the end; who reads it later gets whole lines.
func TestAPipeThatNobodyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var told atomic.Int32
	s := open(t, path, func(error) { told.Add(1) })
	const many = 10_000
	for range many {
		s.Write(&audit.Record{Tool: strings.Repeat("x", 100)})
	}
	if took := time.Since(start); took > notHeldUp {
		t.Errorf("%d calls took %v", many, took)
	}
	until(t, "the pipe is full and the sink has given up waiting", func() bool {
		return s.Written() > 0 && told.Load() > 0
	})
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	start = time.Now()
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if took := time.Since(start); took > notHeldUp {
		t.Errorf("its end took %v", took)
	}
	if s.Written()+s.Dropped() != many || s.Dropped() == 0 || told.Load() != 1 {
		t.Errorf("written %d + dropped %d of %d, told %d times", s.Written(), s.Dropped(), many, told.Load())
	}
	buf := make([]byte, 1<<20)
	n, err := reader.Read(buf)
	if err != nil || uint64(bytes.Count(buf[:n], []byte("}\n"))) > s.Written() ||
		!json.Valid(buf[:bytes.IndexByte(buf[:n], '\n')]) {
		t.Errorf("%d bytes are in the pipe: %v", n, err)
	}
}

func TestAFullDiskIsCountedAndToldOnce(t *testing.T) {
	var told atomic.Int32
	s := open(t, "/dev/full", func(error) { told.Add(1) })
	for range 100 {
		s.Write(&audit.Record{Tool: "x"})
	}
	s.Close()
	if s.Dropped() != 100 || told.Load() != 1 {
		t.Errorf("dropped %d of 100, told %d times", s.Dropped(), told.Load())
	}
}

// TestALongNameIsCounted: a refused call may bear any name, and costs nothing.
func TestALongNameIsCounted(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "audit"), nil)
	long := strings.Repeat("x", 1<<20)
	for range 64 {
		s.Write(&audit.Record{Tool: long})
		s.Write(&audit.Record{Method: long})
	}
	s.Close()
	if s.Dropped() == 0 {
		t.Error("128 MiB waited, at most 1 MiB and a record may")
	}
}
