package check

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// maxRefusals is how many of the last refusals are kept.
const maxRefusals = 50

// Refusal is what an administrator may know of a request that was not let in.
type Refusal struct {
	Time                     time.Time
	Why, RequestID, IP, Path string
}

func refusalOf(r *http.Request, why denial, now time.Time) Refusal {
	path, _, _ := strings.Cut(r.Header.Get(contract.HeaderOriginalURI), "?") // a query can hold a secret
	return Refusal{
		Time: now, Why: denialNames[why], RequestID: httpkit.PlainRequestID(r),
		IP: clip(r.Header.Get(contract.HeaderRealIP)), Path: clip(path),
	}
}

// clip bounds and copies what is kept of a request, for the eyes of whoever reads
// the log: a stranger wrote it.
func clip(s string) string {
	const most = 128
	return strings.Clone(httpkit.Printable(s[:min(len(s), most)]))
}

// refusals is a ring of the last ones.
type refusals struct {
	mu   sync.Mutex
	ring [maxRefusals]Refusal
	n    int
}

func (r *refusals) add(one Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[r.n%maxRefusals] = one
	r.n++
}

// Refusals returns the last refusals of this process, newest first.
func (h *Handler) Refusals() []Refusal {
	r := &h.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Refusal
	for i := r.n - 1; i >= max(0, r.n-maxRefusals); i-- {
		out = append(out, r.ring[i%maxRefusals])
	}
	return out
}

// Who returns the identity of a remembered verdict with this sid: all that is
// known here of somebody who comes with a token.
func (h *Handler) Who(sid string) (id contract.Identity, ok bool) {
	if v := h.cache.endingWith(sid); v != nil && sid != "" {
		return v.id, true
	}
	return id, false
}
