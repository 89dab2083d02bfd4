package stateless

import (
	"context"
	"mime"
	"net/http"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/mux"
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
		if !isJSON(r.Header.Get("Content-Type")) {
			refuse(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
			return
		}
		body, ok := answer.Body(w, r, maxBody)
		if !ok {
			return
		}
		f.Serve(w, r, &mux.Caller{Identity: who(r.Context()), Server: server, Era: "stateless"}, body)
	})
}

func isJSON(contentType string) bool {
	if contentType == "application/json" { // as nearly everybody writes it
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

func refuse(w http.ResponseWriter, status int, why string) {
	writeError(w, status, nil, &translate.Error{Code: translate.CodeInvalidRequest, Message: why})
}
