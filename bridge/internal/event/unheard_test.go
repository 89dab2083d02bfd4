package event

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/bridge/internal/rpc"
)

var kilo = strings.Repeat("x", 1<<10)

// read takes all that waits, as a listener does who comes and leaves again.
func read(st *Stream) (all []Event) {
	taken := st.Take()
	defer st.Leave(taken)
	for {
		e, ok, _ := st.Next(taken)
		if !ok {
			return all
		}
		all = append(all, e.Event)
	}
}

// TestWhatNobodyHeardIsATail: whoever never listened costs little, and finds
// what came last.
func TestWhatNobodyHeardIsATail(t *testing.T) {
	q := NewQueue(8 << 20)
	var dropped atomic.Int64
	sink := Unheard(q, &dropped)
	sink.Push(Event{Kind: rpc.Request, Line: []byte("a question")})
	for range 4096 {
		if !sink.Push(event(kilo)) {
			t.Fatal("it was refused")
		}
	}
	sink.Push(event("the last"))
	if q.Waiting() > unheardTail || q.Waiting() < unheardTail/2 {
		t.Errorf("%d bytes wait", q.Waiting())
	}
	if sink.Push(event(strings.Repeat("x", unheardTail+1))) {
		t.Error("what is larger than the tail was kept")
	}
	all := read(NewStreams(0).Open(q, nil))
	if int(dropped.Load())+len(all) != 4098 {
		t.Errorf("%d dropped and %d kept of 4098", dropped.Load(), len(all))
	}
	if string(all[0].Line) != "a question" || string(all[len(all)-1].Line) != "the last" {
		t.Errorf("kept from %q to %q", all[0].Line, all[len(all)-1].Line)
	}
	for sink.Push(Event{Kind: rpc.Request, Line: []byte(kilo)}) {
		if q.Waiting() > q.max {
			t.Fatal("questions have no bound")
		}
	}
}

// TestWhoComesBackSoonFindsAll, and what came since a listener left goes once
// nobody comes.
func TestWhoComesBackSoonFindsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(1 << 20)
		st := NewStreams(1<<20).Open(q, nil)
		var dropped atomic.Int64
		sink := Unheard(q, &dropped)
		read(st)
		for range 512 {
			sink.Push(event(kilo))
		}
		time.Sleep(resumeGrace - time.Second)
		if got := len(read(st)); got != 512 || dropped.Load() != 0 {
			t.Errorf("after %s: %d of 512, %d dropped", resumeGrace-time.Second, got, dropped.Load())
		}
		time.Sleep(time.Hour)
		for range 512 {
			sink.Push(event(kilo))
		}
		if q.Waiting() > unheardTail {
			t.Errorf("an hour after the listener left %d bytes wait", q.Waiting())
		}
		read(st)
		for range 2048 {
			if !sink.Push(event(kilo)) {
				t.Fatal("the queue ended by what nobody heard")
			}
		}
		if q.Waiting() > q.max || q.Waiting() < q.max/2 {
			t.Errorf("%d bytes wait for who comes back", q.Waiting())
		}
		time.Sleep(resumeGrace + time.Second)
		synctest.Wait()
		if q.Waiting() > unheardTail {
			t.Errorf("nobody came back, and %d bytes wait", q.Waiting())
		}
		q.Close(ErrEnded)
	})
}

// TestWhatASlowReaderLeftIsATail: it waited when he was there.
func TestWhatASlowReaderLeftIsATail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(1 << 20)
		st := NewStreams(1<<20).Open(q, nil)
		taken := st.Take()
		for range 512 {
			q.Push(event(kilo))
		}
		st.Leave(taken)
		time.Sleep(resumeGrace + time.Second)
		synctest.Wait()
		if q.Waiting() > unheardTail {
			t.Errorf("%d bytes wait", q.Waiting())
		}
	})
}
