package door

import (
	"strconv"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// question is what a server asked the client.
type question struct {
	in    *inner
	id    []byte // as the server's session knows it
	token string // of the progress that it wants
}

// wanted is the progress of a question.
type wanted struct {
	in    *inner
	token []byte // as the server knows it
}

// ask asks the client what a server asks, under an id and a token of its own:
// those of two servers may be the same.
func (k *desk) ask(in *inner, e event.Event, say func(line []byte)) {
	m, err := rpc.Reparse(e.Bytes())
	if err != nil {
		return
	}
	q := question{in: in, id: m.ID()}
	k.mu.Lock()
	k.next++
	id := strconv.FormatUint(k.next, 10)
	var token rpc.Edit
	if len(m.Token()) > 0 {
		token = rpc.Edit{At: m.TokenSpan(), With: []byte(id)}
		q.token = id
		k.tokens[id] = wanted{in, m.Token()}
	}
	k.asked[id] = q
	k.mu.Unlock()
	say(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: []byte(id)}, token))
}

// respond gives a server the client's answer.
func (k *desk) respond(by caller, m *rpc.Message) {
	key := rpc.Key(m.ID())
	k.mu.Lock()
	q, ok := k.asked[key]
	k.settle(key, q)
	k.mu.Unlock()
	if ok {
		q.in.send(by, rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.IDSpan(), With: q.id}))
	}
}

// settle forgets a question. The lock is held.
func (k *desk) settle(key string, q question) {
	delete(k.asked, key)
	if q.token != "" {
		delete(k.tokens, q.token)
	}
}

// unask tells the client that a server wants no answer any more.
func (k *desk) unask(in *inner, m *rpc.Message) {
	cancelled := rpc.Key(m.Cancels())
	k.mu.Lock()
	for id, q := range k.asked {
		if q.in == in && rpc.Key(q.id) == cancelled {
			k.settle(id, q)
			defer k.tell(rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.CancelSpan(), With: []byte(id)}))
			break
		}
	}
	k.mu.Unlock()
}
