package edge

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const idleStreams = 500

// Silent streams are light and none is lost. `make bench PART=gate-idle` holds
// them for ten minutes, through the real bridge.
func TestIdleStreamsAreLightAndStay(t *testing.T) {
	t.Parallel()
	last := make(chan struct{})
	g := start(t, options{limits: unlimited, bridge: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": open\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-last:
			_, _ = io.WriteString(w, ": still\n\n")
		case <-r.Context().Done():
		}
	}})
	g.client.Timeout = 0
	for range 50 { // what a worker takes once is no stream's weight
		_, shut := g.openIdle(t)
		shut()
	}
	before := g.resident(t)
	streams := make([]*bufio.Reader, idleStreams)
	for i := range streams {
		streams[i], _ = g.openIdle(t)
	}
	kb := float64(g.resident(t)-before) / idleStreams
	t.Logf("%.1f KB at nginx for each of %d streams", kb, idleStreams)
	if most := byVersion(t, 50, since{1, 25, 0, 62}); kb > float64(most) {
		t.Errorf("%.1f KB for each stream, want at most %d", kb, most)
	}
	time.AfterFunc(2*time.Second, func() { close(last) })
	for i, stream := range streams {
		if rest, err := io.ReadAll(stream); err != nil || !strings.Contains(string(rest), "still") {
			t.Fatalf("stream %d: %v, %q", i, err, rest)
		}
	}
}

// openIdle opens a stream on a connection of its own and reads its first line.
func (g *gate) openIdle(t *testing.T) (r *bufio.Reader, shut func()) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bearer)
	res, err := g.client.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	shut = func() { _ = res.Body.Close() }
	t.Cleanup(shut)
	r = bufio.NewReaderSize(res.Body, 64)
	if line, err := r.ReadString('\n'); err != nil || line != ": open\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return r, shut
}

// resident is the RSS in KB of nginx's workers, of proc(5).
func (g *gate) resident(t *testing.T) (kb int) {
	t.Helper()
	parent := "PPid:\t" + strconv.Itoa(g.nginx.Process.Pid) + "\n"
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), parent) {
			continue // it ended meanwhile, or is somebody else's
		}
		_, value, _ := strings.Cut(string(text), "VmRSS:")
		n, err := strconv.Atoi(strings.Fields(value)[0])
		if err != nil {
			t.Fatal(err)
		}
		kb += n
	}
	return kb
}
