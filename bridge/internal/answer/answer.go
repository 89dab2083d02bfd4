// Package answer is what the fronts share of HTTP: bodies of bounded length,
// refusals as JSON-RPC errors, and event streams.
//
// It must never know a session's rules or a protocol version.
package answer

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// Error writes err as a JSON-RPC error response to the raw id: 429 or 503 with
// Retry-After for a *mux.Refusal, 403 with a challenge for a
// *mux.ScopeError, else status.
func Error(w http.ResponseWriter, status int, id []byte, err error) {
	var refusal *mux.Refusal
	var scope *mux.ScopeError
	switch {
	case errors.As(err, &scope):
		status = http.StatusForbidden
		w.Header().Set("WWW-Authenticate", scope.Challenge)
	case errors.As(err, &refusal):
		status = http.StatusServiceUnavailable
		if refusal.Full {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(refusal.Retry.Seconds())))))
	}
	JSON(w, status, mux.AsRPC(err).Body(id))
}

// Refuse is Error with a code and a text of the bridge's own.
func Refuse(w http.ResponseWriter, status, code int, text string) {
	Error(w, status, nil, &rpc.Error{Code: code, Message: text})
}

// JSON writes one JSON body.
func JSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone: nobody is left to tell
}

// Event writes the event as one JSON body, without joining its parts.
func Event(w http.ResponseWriter, e event.Event) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(e.Len()))
	_, _ = e.WriteTo(w)
}
