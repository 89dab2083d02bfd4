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
	"hash"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxWaiting = 1 << 20               // bytes that wait for the file, as counted by size
	gather     = 50 * time.Millisecond // from a first record until it is written
	recordSize = 400                   // of a record without what a client can make long, about
)

// Record is one line. The names are those of the bridge's log and of nginx's
// audit log; request_id joins the three.
type Record struct {
	Time       time.Time       `json:"time"`                 // when the call came, in UTC
	Program    string          `json:"program"`              // always bridge
	RequestID  string          `json:"request_id,omitempty"` // of nginx's line and of the bridge's log
	Session    string          `json:"session,omitempty"`    // the public part of the session's id
	User       string          `json:"user,omitempty"`       // the caller's id at the provider (sub)
	UserEmail  string          `json:"user_email,omitempty"` // the address, where it is verified
	Server     string          `json:"server"`               // the entry of the configuration
	Method     string          `json:"method"`               // of MCP, such as tools/call; of HTTP where no body was read
	Kind       string          `json:"kind,omitempty"`       // tool, prompt or resource
	Tool       string          `json:"tool,omitempty"`       // its name; of a resource, the URI
	Era        string          `json:"era,omitempty"`        // the version of MCP that the client speaks
	Credential string          `json:"credential,omitempty"` // the name of the caller's own credential that the server has
	Outcome    string          `json:"outcome"`              // see the table below
	Rule       string          `json:"rule,omitempty"`       // of the policy, that let it in or refused it
	Millis     float64         `json:"ms"`                   // from the request to its result
	BytesIn    int             `json:"bytes_in"`             // of the request
	BytesOut   int             `json:"bytes_out"`            // of the result
	ArgsHash   string          `json:"args_hash,omitempty"`  // a keyed hash of the arguments
	Args       json.RawMessage `json:"args,omitempty"`       // the arguments, where a rule says log_arguments

	Hidden []byte `json:"-"` // arguments of which ArgsHash is made when the line is
}

func (r *Record) size() int {
	return recordSize + len(r.Args) + len(r.Hidden) + len(r.Method) + len(r.Tool)
}

// Sink is an audit file. It is safe for concurrent use.
type Sink struct {
	path   string
	key    []byte
	macs   sync.Pool // of hash.Hash with the key
	failed func(error)

	wake   chan struct{} // has a token when a first line waits
	reopen chan chan error
	quit   chan struct{}
	ended  chan struct{}

	dropped atomic.Uint64
	written atomic.Uint64

	mu      sync.Mutex
	waiting []Record
	bytes   int // of those that wait
	closed  bool
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
		path: path, key: key, failed: failed, wake: make(chan struct{}, 1),
		reopen: make(chan chan error), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	s.macs.New = func() any { return hmac.New(sha256.New, s.key) }
	go s.run(f)
	return s, nil
}

// Write adds a record and returns at once: a call does not pay for its line.
// What the record points to must not change any more.
func (s *Sink) Write(r *Record) {
	s.mu.Lock()
	if s.closed || s.bytes >= maxWaiting {
		s.mu.Unlock()
		s.dropped.Add(1)
		return
	}
	first := len(s.waiting) == 0
	s.waiting = append(s.waiting, *r)
	s.bytes += r.size()
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default: // the writer is awake already
		}
	}
}

// take gives the writer what waits, for room that is free again.
func (s *Sink) take(free []Record) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := s.waiting
	s.waiting, s.bytes = free[:0], 0
	return records
}

// Hash is the keyed hash of raw arguments, or "" where there are none.
func (s *Sink) Hash(args []byte) string {
	if len(args) == 0 {
		return ""
	}
	mac, _ := s.macs.Get().(hash.Hash)
	defer s.macs.Put(mac)
	mac.Reset()
	mac.Write(args)
	var sum [sha256.Size]byte
	return hex.EncodeToString(mac.Sum(sum[:0])[:16])
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

// Close writes what waits and closes the file. Lines that come later are lost.
func (s *Sink) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.quit)
	}
	<-s.ended
}

// run writes some time after a first record, and by then there may be many: a
// call does not pay for a write, nor for waking whoever writes.
func (s *Sink) run(f *os.File) {
	defer close(s.ended)
	w := &writer{sink: s, file: f}
	late := time.NewTimer(gather)
	late.Stop()
	defer late.Stop()
	for {
		select {
		case <-s.wake:
			late.Reset(gather)
		case <-late.C:
			w.flush()
		case answer := <-s.reopen:
			answer <- w.reopen()
		case <-s.quit:
			w.flush()
			_ = w.file.Close()
			return
		}
	}
}
