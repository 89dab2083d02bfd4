package event

import (
	"testing"

	"gatehouse/bridge/internal/rpc"
)

func event(text string) Event { return Message(rpc.Notification, []byte(text)) }

func TestStreamOfRefusedCallsEnds(t *testing.T) {
	st := NewStreams(1<<10).Open(NewQueue(1<<10), nil) // a batch of which every call was refused
	st.Want(2)
	refused := Answer([]byte("no"))
	if st.Told(refused).Last {
		t.Error("the first of two answers counts as the last")
	}
	if !st.Told(refused).Last || !st.Over() {
		t.Error("the last answer does not end the stream")
	}
}

func TestStandingStreamNeverEnds(t *testing.T) {
	st := NewStreams(1<<10).Open(NewQueue(1<<10), nil)
	if st.Told(Answer([]byte("a"))).Last || st.Over() {
		t.Error("a standing stream ended with an answer")
	}
}

func TestStreamReplaysWhatWasMissedWithinItsBound(t *testing.T) {
	all := NewStreams(10)
	a, b := all.Open(NewQueue(100), nil), all.Open(NewQueue(100), nil)
	first := a.Told(event("aaaa")).ID
	b.Told(event("bbbb"))
	a.Told(event("AAAA")) // 12 bytes: the oldest goes
	st, seq := all.Find(first)
	if st != a || seq != 1 {
		t.Fatalf("Find(%q) = %v, %d", first, st, seq)
	}
	ids, events := a.Missed(0)
	if len(ids) != 1 || string(events[0].Bytes()) != "AAAA" {
		t.Errorf("missed of a = %v", ids)
	}
	if _, events := b.Missed(0); len(events) != 1 || string(events[0].Bytes()) != "bbbb" {
		t.Errorf("b was given %d events, want its own one", len(events))
	}
}

func TestStreamHasOneReaderAndTheLastWins(t *testing.T) {
	st := NewStreams(10).Open(NewQueue(10), nil)
	first := st.Take()
	second := st.Take()
	select {
	case <-first:
	default:
		t.Error("the first reader was not told")
	}
	st.Leave(first)
	select {
	case <-second:
		t.Error("the reader that was put out put out the second")
	default:
	}
	if st.taken == nil {
		t.Error("the reader that was put out freed the stream of the second")
	}
	st.Leave(second)
	if st.taken != nil {
		t.Error("the stream is taken though nobody reads it")
	}
}

// TestNothingIsLostBetweenTwoReaders: the second comes while the first takes
// events, and learns of each from the buffer or from the queue.
func TestNothingIsLostBetweenTwoReaders(t *testing.T) {
	const events = 40
	for range 2000 {
		st := NewStreams(1<<20).Open(NewQueue(1<<20), nil)
		st.Want(1)
		for range events - 1 {
			st.Queue.Push(event("x"))
		}
		st.Queue.Push(Answer([]byte("the last")))
		first := st.Take()
		begun, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			close(begun)
			readAll(st, first)
		}()
		<-begun
		second := st.Take()
		_, missed := st.Missed(0)
		got := len(missed)
		if !st.Over() {
			got += readAll(st, second)
		}
		<-done
		if got != events {
			t.Fatalf("the second reader learned of %d events of %d", got, events)
		}
	}
}

// readAll reads as a front does, and tells how many events it got.
func readAll(st *Stream, taken <-chan struct{}) (n int) {
	for {
		e, ok, _ := st.Next(taken)
		if !ok {
			return n
		}
		if n++; e.Last {
			return n
		}
	}
}

func TestQueueEndsAtItsBound(t *testing.T) {
	q := NewQueue(8)
	if !q.Push(event("one message larger than the bound")) {
		t.Fatal("a single large message was refused")
	}
	if q.Push(event("x")) {
		t.Error("a message past the bound was taken")
	}
	if _, ok, err := q.Pop(); ok || err != ErrSlow { //nolint:errorlint // the queue hands out this very value
		t.Errorf("Pop = %v, %v; want ErrSlow", ok, err)
	}
}

func TestSlowReaderIsToldOnce(t *testing.T) {
	q := NewQueue(4)
	told := 0
	q.OnSlow(func() { told++ })
	for range 5 {
		q.Push(Message(rpc.Notification, []byte("four")))
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	q.OnSlow(func() { told++ }) // one who comes later learns it too
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}
