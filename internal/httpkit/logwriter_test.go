package httpkit_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/httpkit"
)

// deaf is a reader of the log that reads nothing until it is let go.
type deaf struct {
	free chan struct{}
	mu   sync.Mutex
	bytes.Buffer
}

func (d *deaf) Write(p []byte) (int, error) {
	<-d.free
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Buffer.Write(p)
}

// TestALogThatNobodyReadsHoldsNobodyUp: it is bounded, and says what is missing.
func TestALogThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	out := &deaf{free: make(chan struct{})}
	w := httpkit.NewLogWriter(out)
	line := strings.Repeat("x", 64<<10)
	for n := range 200 {
		_, _ = fmt.Fprintf(w, "%d %s\n", n, line)
	}
	close(out.free)
	w.Flush(20 * time.Second)
	_, _ = fmt.Fprintf(w, "last\n")
	w.Flush(20 * time.Second)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	n := len(lines)
	if n < 50 || n > 70 || lines[n-1] != "last" ||
		!strings.Contains(lines[n-2], fmt.Sprintf(`"%d lines of the log were dropped`, 200-(n-2))) {
		t.Errorf("%d lines, the last are %.200q", n, lines[max(0, n-2):])
	}
}
