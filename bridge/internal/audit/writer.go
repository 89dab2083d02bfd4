package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	fileMode  = 0o640
	flushSize = 64 << 10
	patience  = time.Second           // with a pipe that nobody reads
	impatient = 50 * time.Millisecond // while it has failed before
)

// openFile never waits: a pipe that nobody reads is opened for reading too
// (fifo(7)), and written to with a deadline.
func openFile(path string) (*os.File, error) {
	const flags = os.O_CREATE | os.O_APPEND | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags|os.O_WRONLY, fileMode)
	if errors.Is(err, syscall.ENXIO) {
		f, err = os.OpenFile(path, flags|os.O_RDWR, fileMode)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return f, nil
}

// writer is the file's side of the sink; one goroutine owns it.
type writer struct {
	sink    *Sink
	file    *os.File
	buf     []byte
	pending int  // lines in buf
	torn    bool // the file ends within a line
	failing bool
}

func (w *writer) add(r Record) {
	r.Time = r.Time.UTC()
	line, err := json.Marshal(r)
	if err != nil {
		w.lost(1, err)
		return
	}
	if len(w.buf)+len(line) >= flushSize {
		w.flush()
	}
	if w.torn && w.pending == 0 {
		w.buf = append(w.buf, '\n') // so that one line is spoiled, not two
	}
	w.buf = append(append(w.buf, line...), '\n')
	w.pending++
}

// flush writes what waits. What the file does not take is lost, and counted.
func (w *writer) flush() {
	if w.pending == 0 {
		return
	}
	limit := patience
	if w.failing {
		limit = impatient
	}
	_ = w.file.SetWriteDeadline(time.Now().Add(limit)) // only pipes know deadlines
	n, err := w.file.Write(w.buf)
	taken := bytes.Count(w.buf[:n], []byte("\n"))
	if w.torn && taken > 0 {
		taken-- // the newline that ended the torn line
	}
	w.sink.written.Add(uint64(taken)) //nolint:gosec // never below 0
	if n > 0 {
		w.torn = w.buf[n-1] != '\n'
	}
	if err != nil {
		w.lost(w.pending-taken, err)
	} else {
		w.failing = false
	}
	w.buf, w.pending = w.buf[:0], 0
}

func (w *writer) lost(lines int, err error) {
	w.sink.dropped.Add(uint64(lines)) //nolint:gosec // never below 0
	if !w.failing && w.sink.failed != nil {
		w.sink.failed(err)
	}
	w.failing = true
}

func (w *writer) reopen() error {
	w.flush()
	f, err := openFile(w.sink.path)
	if err != nil {
		return err
	}
	err = w.file.Close()
	w.file, w.torn = f, false
	if err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("audit: close the old file: %w", err)
	}
	return nil
}
