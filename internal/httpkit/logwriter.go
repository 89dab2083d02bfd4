package httpkit

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// maxLogWaiting is how many bytes of log may wait for whoever reads it.
const maxLogWaiting = 4 << 20

// LogWriter writes lines without ever blocking whoever logs: a log that nobody
// reads must not stop the program. Lines past maxLogWaiting are dropped, and
// the next that is written is preceded by one that says how many.
type LogWriter struct {
	out io.Writer

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	dropped int
	idle    chan struct{} // closed when all is written; nil while nothing waits
}

// NewLogWriter writes to out.
func NewLogWriter(out io.Writer) *LogWriter { return &LogWriter{out: out} }

// Write implements io.Writer; p is one line.
func (w *LogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes > 0 && w.bytes+len(p) > maxLogWaiting {
		w.dropped++
		return len(p), nil
	}
	if w.dropped > 0 {
		w.put(
			fmt.Appendf(nil, `{"level":"error","message":"%d lines of the log were dropped: nobody reads it"}`+"\n", w.dropped),
		)
		w.dropped = 0
	}
	w.put(append([]byte(nil), p...))
	return len(p), nil
}

// put lets a line wait, and starts the writing where it rests. The lock is
// held.
func (w *LogWriter) put(line []byte) {
	w.waiting, w.bytes = append(w.waiting, line), w.bytes+len(line)
	if w.idle == nil {
		w.idle = make(chan struct{})
		go w.write()
	}
}

func (w *LogWriter) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 {
		line := w.waiting[0]
		w.waiting[0] = nil
		w.waiting = w.waiting[1:]
		w.mu.Unlock()
		_, _ = w.out.Write(line) // nobody is left to tell
		w.mu.Lock()
		w.bytes -= len(line)
	}
	close(w.idle)
	w.waiting, w.idle = nil, nil
}

// Flush waits until all is written, or for so long: the reader may be stuck.
func (w *LogWriter) Flush(atMost time.Duration) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}
