package streamable

import (
	"net/http"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/event"
)

// Agree is for the fuzz target.
func Agree(body []byte, asked string) ([]byte, string) { return agree(body, asked) }

// Tell writes a stream of which this came already, for a client of 2025-11-25.
func Tell(w http.ResponseWriter, r *http.Request, st *event.Stream, taken <-chan struct{}, before ...event.Event) {
	(&posted{stream: st, before: before}).tell(answer.NewStream(w, r), true, taken)
}
