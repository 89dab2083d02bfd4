package fleet

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Recall remembers how children answered initialize, so that a session of a
// server that sleeps can be opened without one. What it says is what a child
// said to the same words of a client, in the same environment: the user is a
// part of it. A server that does not say the same twice is asked each time.
type Recall struct {
	mu      sync.Mutex
	answers map[Asked]recalled
	bytes   int
	not     time.Time // until when nothing is remembered
}

// Asked names an initialize and for whom the child was that had it.
type Asked [sha256.Size]byte

type recalled struct {
	result []byte
	since  time.Time
}

const (
	maxRecalled   = 64 << 10 // bytes of one answer
	maxRecall     = 16 << 20 // bytes of all of a server
	recallFor     = time.Hour
	recallNothing = 10 * time.Minute // after two answers that differ
)

// Asks names an initialize with these params, its _meta left aside: that is of
// the one message (a trace, a progress token) and changes no answer.
func (s *Server) Asks(owner *contract.Identity, params []byte) (name Asked) {
	h := sha256.New()
	for _, v := range s.identityEnv(owner) {
		_, _ = h.Write([]byte(v)) // never fails
		_, _ = h.Write([]byte{0}) // which no variable holds
	}
	if owner != nil && s.cfg.Lend != nil { // the child has a credential of his
		_, _ = h.Write([]byte(owner.Subject))
		_, _ = h.Write([]byte{0})
	}
	meta := rpc.MemberOf(params, "_meta")
	_, _ = h.Write(params[:meta.Start])
	_, _ = h.Write(params[meta.End:])
	h.Sum(name[:0])
	return name
}

// Answer is what was answered, or nil.
func (r *Recall) Answer(to Asked, now time.Time) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[to]
	if !ok || now.Sub(a.since) > recallFor {
		return nil
	}
	return a.result
}

// Learn remembers an answer. same is false where another was remembered: the
// server has changed, or never says the same, and all is forgotten.
func (r *Recall) Learn(to Asked, result []byte, now time.Time) (same bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.answers[to]; ok {
		if bytes.Equal(old.result, result) {
			r.answers[to] = recalled{old.result, now}
			return true
		}
		r.answers, r.bytes, r.not = nil, 0, now.Add(recallNothing)
		return false
	}
	if now.Before(r.not) || len(result) > maxRecalled {
		return true
	}
	for name, old := range r.answers { // any of them makes room
		if r.bytes+len(result) <= maxRecall {
			break
		}
		r.bytes -= len(old.result)
		delete(r.answers, name)
	}
	if r.answers == nil {
		r.answers = map[Asked]recalled{}
	}
	r.answers[to] = recalled{slices.Clone(result), now}
	r.bytes += len(result)
	return true
}
