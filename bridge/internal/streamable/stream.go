package streamable

import (
	"errors"
	"math"
	"net/http"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/internal/contract"
)

// stream answers a POST with the events of its calls, until the last answer.
// Where the client goes away before that, the calls go on: what they say is kept
// for its return, within the replay bound. leave is called when all is over.
func (f *Front) stream(w http.ResponseWriter, r *http.Request, s *session.Session, p *posted) {
	taken := p.stream.Take()
	p.stream.Want(p.finals)
	out := answer.NewStream(w, r)
	p.stream.Queue.OnSlow(out.Break)
	gone := p.tell(out, primes(s), taken)
	out.Close()
	if !gone {
		p.stream.Leave(taken)
		p.stream.Settle()
		p.leave()
		return
	}
	f.Open.Go(func() {
		defer p.leave()
		defer p.stream.Leave(taken)
		keep(p.over, p.stream, taken)
	})
}

// posted is what a POST asked for.
type posted struct {
	over   <-chan struct{} // closed when the right to the answer has ended
	leave  func()
	stream *event.Stream
	finals int
	before []event.Event // what came already
}

// primes tells whether a stream begins with an event id, for a client that loses
// it before the first message (2025-11-25, transports, "Sending Messages to the
// Server", 6).
func primes(s *session.Session) bool {
	v := s.Version.Load()
	return v != nil && *v >= rpc.Version20251125 && rpc.HasSessions(*v)
}

// tell writes the stream; gone says that its client went away. What came already
// is kept before the client has a place to come back to: it may be back at once.
func (p *posted) tell(out *answer.Stream, prime bool, taken <-chan struct{}) (gone bool) {
	place := p.stream.Place()
	told := make([]event.Told, len(p.before))
	for i, e := range p.before {
		told[i] = p.stream.Told(e)
	}
	gone = out.Begin() != nil || prime && out.Raw("id: "+place+"\ndata: \n\n") != nil
	for _, e := range told {
		gone = gone || tell(out, e) != nil
	}
	return gone || !p.stream.Over() && relay(p.over, p.stream, out, taken)
}

// tell writes one event.
func tell(out *answer.Stream, e event.Told) error {
	if e.Silent {
		return nil
	}
	return out.Event(e.ID, e.Event)
}

// relay tells what comes, to the last answer; gone says that the client went
// away before that.
func relay(over <-chan struct{}, st *event.Stream, out *answer.Stream, taken <-chan struct{}) (gone bool) {
	for {
		e, ok, err := st.Next(taken)
		switch {
		case ok:
			if tell(out, e) != nil {
				return !e.Last
			}
			if e.Last {
				return false
			}
			continue
		case err != nil:
			return false
		}
		select {
		case <-st.Queue.Wake():
		case <-out.Tick():
			if out.Comment() != nil {
				return true
			}
		case <-taken:
			return false
		case <-over:
			for e, ok, _ := st.Next(taken); ok && tell(out, e) == nil; e, ok, _ = st.Next(taken) {
			} // what came before the end is told
			return false
		case <-out.Gone():
			return true
		}
	}
}

// keep takes what the calls of a stream say while nobody reads it, to the last
// answer or until the client is back.
func keep(over <-chan struct{}, st *event.Stream, taken <-chan struct{}) {
	st.Queue.OnSlow(func() {}) // it waits in no write
	for {
		e, ok, err := st.Next(taken)
		switch {
		case err != nil || ok && e.Last:
			return
		case ok:
			continue
		}
		select {
		case <-st.Queue.Wake():
		case <-taken:
			return
		case <-over:
			return
		}
	}
}

// get opens the standing stream, or resumes the one that Last-Event-ID names.
func (f *Front) get(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if last := r.Header.Get(headerLast); last != "" {
		f.resume(w, r, s, last)
		return
	}
	f.listen(w, r, s, s.StandingStream(), math.MaxInt)
}

func (f *Front) resume(w http.ResponseWriter, r *http.Request, s *session.Session, last string) {
	st, seq := s.Streams.Find(last)
	if st == nil {
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest,
			"Last-Event-ID names no stream of this session, or one that is not kept any more")
		return
	}
	f.listen(w, r, s, st, seq)
}

// listen lets the client hear the stream from after the place on. It takes the
// place of a listener that is there: a client whose connection broke without a
// word comes back before the bridge can know, and must not be locked out.
func (f *Front) listen(w http.ResponseWriter, r *http.Request, s *session.Session, st *event.Stream, after int) {
	taken, over, leave := take(s, st, identity.From(r.Context()))
	if st.Lost(after) {
		leave()
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest,
			"the answer that came after Last-Event-ID is not kept any more")
		return
	}
	out, err := answer.Detach(w)
	if err != nil {
		leave()
		answer.Error(w, http.StatusInternalServerError, nil, err)
		return
	}
	f.Open.Go(func() {
		gone := hear(over, st, out, after, taken)
		if gone && st != s.StandingStream() {
			keep(over, st, taken)
		}
		leave()
		if !gone {
			st.Settle()
		}
	})
}

// hear tells a listener what it missed, and what comes; gone says that it went
// away before the last answer. A comment comes first where nothing else does:
// nginx holds the headers of an answer by HTTP/2 and TLS until its first byte.
func hear(over <-chan struct{}, st *event.Stream, out *answer.Stream, after int, taken <-chan struct{}) (gone bool) {
	defer out.Close()
	st.Queue.OnSlow(out.Break)
	ids, events := st.Missed(after)
	if len(events) == 0 && out.Comment() != nil {
		return !st.Over()
	}
	for i, e := range events {
		if out.Event(ids[i], e) != nil {
			return !st.Over()
		}
	}
	return !st.Over() && relay(over, st, out, taken)
}

// take comes before the headers are sent: what a client causes as soon as it
// has them finds its listener.
func take(s *session.Session, st *event.Stream, who *contract.Identity) (taken, over <-chan struct{}, leave func()) {
	taken = st.Take()
	over, gone := s.Under(who)
	stop := func() {}
	if st == s.StandingStream() {
		stop = s.Reading()
	}
	return taken, over, func() {
		stop()
		gone()
		st.Leave(taken)
	}
}

// batch answers an array of messages (2025-03-26 alone has them). Its answers
// come on one stream.
func (f *Front) batch(w http.ResponseWriter, r *http.Request, body []byte, handed func()) {
	s := f.named(w, r)
	if s == nil {
		return
	}
	if v := s.Version.Load(); v == nil || *v != rpc.Version20250326 {
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, "only 2025-03-26 has batches")
		return
	}
	messages, err := f.parts(body)
	if err != nil {
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, err.Error())
		return
	}
	who := identity.From(r.Context())
	over, leave := s.Under(who)
	q := event.NewQueue(f.Server.Limits().Queue)
	finals := 0
	var calls []*mux.Call
	for i := range messages {
		m := &messages[i]
		if m.Kind != rpc.Request {
			_ = s.Send(r.Context(), who, m)
			continue
		}
		finals++
		call, err := s.Call(r.Context(), who, m, q)
		if err != nil {
			id := m.ID()
			if errors.Is(err, mux.ErrDuplicate) {
				id = nil // with it, this would be taken for the answer to the first
			}
			q.Push(event.Answer(mux.AsRPC(err).Body(id)))
			continue
		}
		calls = append(calls, call)
	}
	handed()
	if finals == 0 {
		leave()
		w.WriteHeader(http.StatusAccepted)
		return
	}
	st := s.Streams.Open(q, func() { giveUp(calls) })
	f.stream(w, r, s, &posted{over: over, leave: leave, stream: st, finals: finals})
}

// giveUp cancels the calls of a stream to which nobody came back.
func giveUp(calls []*mux.Call) {
	for _, call := range calls {
		call.Cancel("the client is gone")
	}
}

func (f *Front) parts(body []byte) ([]rpc.Message, error) {
	raw, _, err := rpc.Split(body, f.Server.Limits().Batch)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 { // JSON-RPC 2.0, section 6
		return nil, &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "the batch is empty"}
	}
	messages := make([]rpc.Message, 0, len(raw))
	for _, part := range raw {
		m, err := rpc.Reparse(part)
		if err != nil {
			return nil, err
		}
		if m.Method == "initialize" {
			return nil, &rpc.Error{Code: rpc.CodeInvalidRequest, Message: "initialize must not be part of a batch"}
		}
		messages = append(messages, m)
	}
	return messages, nil
}
