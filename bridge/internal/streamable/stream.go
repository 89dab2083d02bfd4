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
// A client that goes away may come back: the calls go on for a while.
func (f *Front) stream(w http.ResponseWriter, r *http.Request, over <-chan struct{}, st *event.Stream, finals int, before ...event.Event) {
	taken := st.Take()
	defer st.Leave(taken)
	st.Want(finals)
	out := answer.NewStream(w, r)
	defer out.Close()
	if out.Begin() != nil {
		return
	}
	st.Queue.OnSlow(out.Break)
	for _, e := range before {
		if !tell(out, st.Told(e)) {
			return
		}
	}
	relay(over, st, out, taken)
}

// tell writes one event; false ends the stream.
func tell(out *answer.Stream, e event.Told) bool {
	if e.Silent {
		return !e.Last
	}
	return out.Event(e.ID, e.Event) == nil && !e.Last
}

func relay(over <-chan struct{}, st *event.Stream, out *answer.Stream, taken <-chan struct{}) {
	for {
		e, ok, err := st.Next(taken)
		switch {
		case ok:
			if !tell(out, e) {
				return
			}
			continue
		case err != nil:
			return
		}
		select {
		case <-st.Queue.Wake():
		case <-out.Tick():
			if out.Comment() != nil {
				return
			}
		case <-taken:
			return
		case <-over:
			for e, ok, _ := st.Next(taken); ok && tell(out, e); e, ok, _ = st.Next(taken) {
			} // what came before the end is told
			return
		case <-out.Gone():
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
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, "Last-Event-ID names no stream of this session")
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
		answer.Refuse(w, http.StatusBadRequest, rpc.CodeInvalidRequest, "the answer that came after Last-Event-ID is not kept any more")
		return
	}
	out, err := answer.Detach(w)
	if err != nil {
		leave()
		answer.Error(w, http.StatusInternalServerError, nil, err)
		return
	}
	f.Open.Go(func() {
		defer leave()
		defer out.Close()
		st.Queue.OnSlow(out.Break)
		ids, events := st.Missed(after)
		for i, e := range events {
			if out.Event(ids[i], e) != nil {
				return
			}
		}
		if !st.Over() {
			relay(over, st, out, taken)
		}
	})
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
func (f *Front) batch(w http.ResponseWriter, r *http.Request, body []byte) {
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
	defer leave()
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
	if finals == 0 {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	f.stream(w, r, over, s.Streams.Open(q, func() { giveUp(calls) }), finals)
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
