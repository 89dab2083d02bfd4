package child

import (
	"os"
	"sync"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// outbox is what waits until the child reads. A line is written at once where
// nothing waits and the pipe has room. Else it waits, and a goroutine that
// lives as long as something waits writes it: a child that computes does not
// hold up whoever has a line for it.
type outbox struct {
	pipe   *os.File
	max    int
	broken func() // called once when the child can be told no more

	mu      sync.Mutex
	buf     []byte
	lines   []*waiting
	bytes   int
	gone    int // of lines, withdrawn
	writing bool
	since   time.Time // the last byte was taken, while something waits
	over    bool
}

// waiting is a line, or the rest of one. It is nil once it was withdrawn or is
// being written.
type waiting struct{ line []byte }

const (
	keepBuffer = 256 << 10
	pipeAtomic = 4096 // PIPE_BUF: such a write is whole or not at all (pipe(7))
	chunk      = 64 << 10
)

// put writes a line or lets it wait. withdraw takes it back while not a byte of
// it was written; it is nil where the line was written at once. ok is false
// where no more may wait.
func (o *outbox) put(line []byte, edits []rpc.Edit) (withdraw func() bool, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return unread, true // whoever reads the child learns of its end
	}
	buf := append(rpc.AppendEdited(o.buf[:0], line, edits...), '\n')
	if cap(buf) <= keepBuffer {
		o.buf = buf
	}
	begun := 0
	if !o.writing {
		n, err := writeNow(o.pipe, buf)
		if err != nil {
			o.fail()
			return unread, true
		}
		if n == len(buf) {
			return nil, true
		}
		begun = n
	}
	rest := len(buf) - begun
	if begun == 0 && o.bytes > 0 && o.bytes+rest > o.max {
		return nil, false
	}
	w := &waiting{append([]byte(nil), buf[begun:]...)}
	o.lines, o.bytes = append(o.lines, w), o.bytes+rest
	if !o.writing {
		o.writing, o.since = true, time.Now()
		go o.write()
	}
	if begun > 0 {
		return nil, true
	}
	return func() bool { return o.withdraw(w) }, true
}

// unread takes back a line that a child which has ended was never given.
func unread() bool { return true }

// write is the goroutine that waits for the child to read.
func (o *outbox) write() {
	for {
		line := o.next()
		if line == nil {
			return
		}
		for len(line) > 0 {
			part := line[:min(chunk, len(line))]
			if _, err := o.pipe.Write(part); err != nil {
				o.mu.Lock()
				o.fail()
				o.mu.Unlock()
				return
			}
			line = line[len(part):]
			o.mu.Lock()
			o.since, o.bytes = time.Now(), o.bytes-len(part)
			o.mu.Unlock()
		}
	}
}

// next takes the next line that waits. Its bytes count until they are written.
func (o *outbox) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.lines) > 0 && !o.over {
		w := o.lines[0]
		o.lines[0] = nil
		o.lines = o.lines[1:]
		if line := w.line; line != nil {
			w.line = nil
			return line
		}
		o.gone--
	}
	o.lines, o.writing = nil, false
	return nil
}

func (o *outbox) withdraw(w *waiting) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.line == nil {
		return false
	}
	if o.over { // not a byte of it will be written
		w.line = nil
		return true
	}
	o.bytes -= len(w.line)
	w.line = nil
	if o.gone++; o.gone > len(o.lines)/2 { // each line is moved once for one that went
		kept := o.lines[:0]
		for _, each := range o.lines {
			if each.line != nil {
				kept = append(kept, each)
			}
		}
		clear(o.lines[len(kept):])
		o.lines, o.gone = kept, 0
	}
	return true
}

// fail forgets what waits: the child has closed its end, or has ended. The lock
// is held.
func (o *outbox) fail() {
	if o.over {
		return
	}
	o.over, o.writing = true, false
	o.lines, o.bytes, o.buf = nil, 0, nil
	if o.broken != nil {
		go o.broken()
	}
}

// stuck is for how long the child has taken nothing of what waits for it.
func (o *outbox) stuck(now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing {
		return 0
	}
	return now.Sub(o.since)
}
