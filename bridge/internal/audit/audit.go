// Package audit writes one JSON line for each call: who called what, and what
// became of it.
//
// It promises never to hold up a call: a line that finds the queue full, or
// that the file does not take, is dropped and counted. Arguments are written
// as a keyed hash, which tells that two calls were alike and no more, unless
// the caller asks for the arguments themselves. It must never know a policy,
// HTTP or a child.
package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const queueLen = 4096

// Record is one line. The names are those of the bridge's log and of nginx's
// audit log; request_id joins the three.
type Record struct {
	Time      time.Time       `json:"time"`
	Program   string          `json:"program"`
	RequestID string          `json:"request_id,omitempty"`
	Session   string          `json:"session,omitempty"` // the public part
	User      string          `json:"user,omitempty"`
	UserEmail string          `json:"user_email,omitempty"`
	Server    string          `json:"server"`
	Method    string          `json:"method"`
	Kind      string          `json:"kind,omitempty"`
	Tool      string          `json:"tool,omitempty"` // or the prompt's name, or the resource's URI
	Era       string          `json:"era,omitempty"`
	Outcome   string          `json:"outcome"`
	Rule      string          `json:"rule,omitempty"`
	Millis    float64         `json:"ms"`
	BytesIn   int             `json:"bytes_in"`
	BytesOut  int             `json:"bytes_out"`
	ArgsHash  string          `json:"args_hash,omitempty"`
	Args      json.RawMessage `json:"args,omitempty"`
}

// Sink is an audit file. It is safe for concurrent use.
type Sink struct {
	path    string
	key     []byte
	queue   chan Record
	reopen  chan chan error
	ended   chan struct{}
	closed  sync.Once
	dropped atomic.Uint64
	written atomic.Uint64
	failed  func(error)
}

// Open opens or makes the file and starts to write. key makes the hashes of
// arguments: with another key they cannot be compared. failed hears of the
// first of a run of write errors.
func Open(path string, key []byte, failed func(error)) (*Sink, error) {
	if len(key) < sha256.Size {
		return nil, fmt.Errorf("audit: the key has %d bytes, want at least %d", len(key), sha256.Size)
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	s := &Sink{
		path: path, key: key, failed: failed,
		queue: make(chan Record, queueLen), reopen: make(chan chan error), ended: make(chan struct{}),
	}
	go s.run(f)
	return s, nil
}

// Write queues a line and returns at once.
func (s *Sink) Write(r Record) {
	select {
	case s.queue <- r:
	default:
		s.dropped.Add(1)
	}
}

// Hash is the keyed hash of raw arguments, or "" where there are none.
func (s *Sink) Hash(args []byte) string {
	if len(args) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, s.key)
	mac.Write(args)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Dropped is the number of lines lost so far, Written of those in the file.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Written is the number of lines that the file took.
func (s *Sink) Written() uint64 { return s.written.Load() }

// Reopen goes on in a new file of the same path, after a rotation renamed the
// old one. Where that fails the old file stays in use.
func (s *Sink) Reopen() error {
	answer := make(chan error, 1)
	select {
	case s.reopen <- answer:
		return <-answer
	case <-s.ended:
		return os.ErrClosed
	}
}

// Close writes what is queued and closes the file. Write must not be called
// after it.
func (s *Sink) Close() {
	s.closed.Do(func() { close(s.queue) })
	<-s.ended
}

func (s *Sink) run(f *os.File) {
	defer close(s.ended)
	w := &writer{sink: s, file: f}
	for {
		select {
		case r, open := <-s.queue:
			if !open {
				w.flush()
				_ = w.file.Close()
				return
			}
			w.add(r)
			if len(s.queue) == 0 {
				w.flush() // idle: a line should not wait for the next one
			}
		case answer := <-s.reopen:
			answer <- w.reopen()
		}
	}
}
