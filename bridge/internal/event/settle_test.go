package event

import (
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// toldStream is a stream of which all was told, and its last reader has left.
func toldStream(all *Streams) *Stream {
	st := all.Open(NewQueue(1<<10), nil)
	taken := st.Take()
	st.Want(1)
	st.Told(Message(rpc.Notification, []byte("progress")))
	st.Told(Answer([]byte("answer")))
	st.Leave(taken)
	return st
}

// TestWhatEverybodyHasHeardIsForgotten, and not what somebody may come back for.
func TestWhatEverybodyHasHeardIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := NewStreams(1 << 20)
		heard, lost, again := toldStream(all), toldStream(all), toldStream(all)
		heard.Settle()
		again.Settle()
		if _, events := heard.Missed(0); len(events) != 2 {
			t.Errorf("at once %d events can be heard again, want 2", len(events))
		}
		time.Sleep(settledFor / 2)
		back := again.Take() // a reader comes back, and stays longer than the rest
		time.Sleep(settledFor)
		synctest.Wait()
		if st, _ := all.Find(heard.id + "-0"); st != nil || len(all.told) != 4 || all.bytes != 2*len("progressanswer") {
			t.Errorf("of what was heard %v stays, %d events, %d bytes in all", st, len(all.told), all.bytes)
		}
		for name, st := range map[string]*Stream{"lost": lost, "heard again": again} {
			if _, events := st.Missed(0); len(events) != 2 {
				t.Errorf("of the stream %s %d events are kept, want 2", name, len(events))
			}
		}
		again.Leave(back)
		again.Settle()
		time.Sleep(2 * settledFor)
		synctest.Wait()
		if len(all.told) != 2 {
			t.Errorf("%d events are kept, want those of the one who may come back", len(all.told))
		}
	})
}
