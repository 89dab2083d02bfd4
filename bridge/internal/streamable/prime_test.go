package streamable_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/streamable"
)

// hasty is a client that comes back as soon as it has a place to come back to.
type hasty struct {
	*httptest.ResponseRecorder
	back func()
}

func (h *hasty) Write(b []byte) (int, error) {
	if h.back != nil {
		h.back()
		h.back = nil
	}
	return h.ResponseRecorder.Write(b)
}

// TestWhoComesBackAtOnceMissesNothing of what came before the stream began.
func TestWhoComesBackAtOnceMissesNothing(t *testing.T) {
	st := event.NewStreams(1<<20).Open(event.NewQueue(1<<20), nil)
	taken := st.Take()
	st.Want(1)
	missed := -1
	w := &hasty{httptest.NewRecorder(), func() {
		_, events := st.Missed(0)
		missed = len(events)
	}}
	streamable.Tell(w, httptest.NewRequest(http.MethodPost, "/", nil), st, taken, event.Answer([]byte(`{"id":1,"result":{}}`)))
	if missed != 1 {
		t.Errorf("with the first byte of the stream %d of 1 events can be heard again", missed)
	}
}
