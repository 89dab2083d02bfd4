package stateless

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/translate"
	"gatehouse/internal/contract"
)

// Handler serves the requests to one server that belong to 2026-07-28: server
// is its configured name, maxBody bounds a request, who finds the identity
// that a middleware put into the context.
func (f *Front) Handler(server string, maxBody int, who func(context.Context) *contract.Identity) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			refuse(w, http.StatusMethodNotAllowed, translate.Modern+" has only POST")
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			refuse(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
			return
		}
		body, err := read(http.MaxBytesReader(w, r.Body, int64(maxBody)), r.ContentLength, maxBody)
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			refuse(w, http.StatusRequestEntityTooLarge, "the request is larger than this server takes")
			return
		case err != nil:
			refuse(w, http.StatusBadRequest, "the request ended early")
			return
		}
		f.Serve(w, r, &session.Caller{Identity: *who(r.Context()), Server: server, Era: "stateless"}, body)
	})
}

// read takes the memory for a body once where its length is known.
func read(body io.Reader, length int64, most int) ([]byte, error) {
	if length < 0 || length > int64(most) {
		return io.ReadAll(body)
	}
	all := make([]byte, length)
	_, err := io.ReadFull(body, all)
	return all, err
}

func refuse(w http.ResponseWriter, status int, why string) {
	writeError(w, status, nil, &translate.Error{Code: translate.CodeInvalidRequest, Message: why})
}
