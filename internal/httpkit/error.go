package httpkit

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// Error is an answer that is not a success. Msg goes to the caller; Err, which
// may say more than a caller should read, goes to the log.
type Error struct {
	Code   int         // HTTP status
	Msg    string      // for the caller
	Err    error       // for the log, may be nil
	Header http.Header // added to the answer, may be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// HandlerFunc answers a request, or returns an error and leaves the answer to
// its caller. After the first byte of an answer it must return nil.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle turns a HandlerFunc into an http.Handler: an *Error becomes its JSON
// answer, any other error a 500 that tells the caller nothing but a request id.
func Handle(h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			WriteError(w, r, err)
		}
	})
}

// WriteError writes the JSON answer for err: {"error": status text, "message":
// ..., "request_id": ...}. A server's fault is logged.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: http.StatusInternalServerError, Msg: "internal error", Err: err}
	}
	if e.Code >= http.StatusInternalServerError {
		Log(r.Context()).Error().Err(err).Int("status", e.Code).Msg("request failed")
	}
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	WriteJSON(w, e.Code, errorBody{http.StatusText(e.Code), e.Msg, RequestID(r.Context())})
}

type errorBody struct {
	Error     string `json:"error"`
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`
}

// WriteJSON writes v with its length, and never lets it be cached.
func WriteJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the caller is gone: nobody is left to tell
}
