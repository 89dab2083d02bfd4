package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	fileMode  = 0o640
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
	free    []Record // room for those that wait
	buf     []byte
	dates   calendar
	torn    bool // the file ends within a line
	failing bool
}

// flush writes what waits. What the file does not take is lost, and counted.
func (w *writer) flush() {
	buf, lines := w.lines()
	if lines == 0 {
		return
	}
	if w.torn && w.write([]byte("\n")) != 1 { // one line is spoiled, not two
		w.sink.dropped.Add(uint64(lines)) //nolint:gosec // never below 0
		return
	}
	n := w.write(buf)
	taken := bytes.Count(buf[:n], []byte("\n"))
	w.torn = n > 0 && buf[n-1] != '\n'
	w.sink.written.Add(uint64(taken))         //nolint:gosec // never below 0
	w.sink.dropped.Add(uint64(lines - taken)) //nolint:gosec // never below 0
}

// lines makes the lines of what waits. The buffer is good until the next call.
func (w *writer) lines() (buf []byte, lines int) {
	records := w.sink.take(w.free)
	w.buf = w.buf[:0]
	for i := range records {
		r := &records[i]
		if r.ArgsHash == "" {
			r.ArgsHash = w.sink.Hash(r.Hidden)
		}
		w.buf = append(r.append(w.buf, &w.dates), '\n')
	}
	clear(records) // let what they point to go
	w.free = records
	return w.buf, len(records)
}

// write returns how much of it the file took.
func (w *writer) write(text []byte) int {
	limit := patience
	if w.failing {
		limit = impatient
	}
	_ = w.file.SetWriteDeadline(time.Now().Add(limit)) // only pipes know deadlines
	n, err := w.file.Write(text)
	if err != nil && !w.failing && w.sink.failed != nil {
		w.sink.failed(err)
	}
	w.failing = err != nil
	return n
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
