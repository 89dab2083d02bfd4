package door

import (
	"context"
	"strconv"
	"sync"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// relay is where a server's words go on their way to the client. Two servers
// may ask under the same id, so each question has one of the hub's own.
type relay struct {
	in  *inner
	who *contract.Identity
	to  event.Sink
}

// questions are those of the servers that the client has not answered, by the
// id that the client knows.
type questions struct {
	mu   sync.Mutex
	open map[string]question
	next int
}

type question struct {
	in    *inner
	id    []byte // by which its session knows it
	token []byte // of the progress that it wants to hear
}

const maxQuestions = 1024 // of one session; past it a server is told that nobody listens

// Push implements event.Sink.
func (r *relay) Push(e event.Event) bool {
	switch {
	case e.Kind == rpc.Request:
		return r.ask(e)
	case e.Method == rpc.Cancelled:
		return r.withdraw(e)
	case e.Final && !e.Failed && !e.Silent && r.in.server.can("tasks"):
		r.in.hub.door.Made(r.who, r.in.server, e.Result())
	}
	return r.to.Push(e)
}

func (r *relay) ask(e event.Event) bool {
	m, err := rpc.Reparse(e.Line)
	if err != nil {
		return false
	}
	id := m.ID()
	if !e.Edit.At.None() {
		id = e.Edit.With
	}
	q := &r.in.hub.questions
	q.mu.Lock()
	if len(q.open) >= maxQuestions {
		q.mu.Unlock()
		return false
	}
	if q.open == nil {
		q.open = map[string]question{}
	}
	q.next++
	key := strconv.Itoa(q.next)
	q.open[key] = question{r.in, id, m.Token()}
	q.mu.Unlock()
	e.Edit = rpc.Edit{At: m.IDSpan(), With: []byte(key)}
	if r.to.Push(e) {
		return true
	}
	q.take([]byte(key))
	return false
}

// withdraw passes on that a server wants no answer any more.
func (r *relay) withdraw(e event.Event) bool {
	m, err := rpc.Reparse(e.Line)
	if err != nil {
		return false
	}
	id := m.Cancels()
	if !e.Edit.At.None() {
		id = e.Edit.With
	}
	q := &r.in.hub.questions
	q.mu.Lock()
	key := ""
	for k, open := range q.open {
		if open.in == r.in && rpc.Same(open.id, id) {
			key = k
		}
	}
	delete(q.open, key)
	q.mu.Unlock()
	if key == "" {
		return false
	}
	e.Edit = rpc.Edit{At: m.CancelSpan(), With: []byte(key)}
	return r.to.Push(e)
}

func (q *questions) take(id []byte) (question, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := rpc.Key(id)
	one, ok := q.open[key]
	delete(q.open, key)
	return one, ok
}

// respond gives a server the answer to what it asked.
func (h *Hub) respond(ctx context.Context, who *contract.Identity, m *rpc.Message) error {
	q, ok := h.questions.take(m.ID())
	if !ok {
		return nil // nobody asked, or nobody waits any more
	}
	line, err := rpc.Reparse(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: q.id}))
	if err != nil {
		return err
	}
	return q.in.Send(ctx, who, &line)
}

// progressed tells the one server that wants to hear of it how far the client
// is with its question.
func (h *Hub) progressed(ctx context.Context, who *contract.Identity, m *rpc.Message) error {
	h.questions.mu.Lock()
	var to *inner
	several := false
	for _, q := range h.questions.open {
		if len(q.token) > 0 && rpc.Same(q.token, m.Token()) {
			several = several || to != nil && to != q.in
			to = q.in
		}
	}
	h.questions.mu.Unlock()
	if to == nil || several {
		return nil
	}
	return to.Send(ctx, who, m)
}
