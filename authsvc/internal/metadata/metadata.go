// Package metadata tells clients who guards this resource (RFC 9728), in the
// root form and in the form with the resource's path appended.
//
// It must never know a caller: its answers are the same for everyone.
package metadata

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"gatehouse/authsvc/internal/resource"
	"gatehouse/internal/httpkit"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// Handler answers under wellKnown.
type Handler struct {
	Rules  resource.Rules
	Issuer string
}

type document struct {
	Resource       string   `json:"resource"`
	Servers        []string `json:"authorization_servers"`
	Scopes         []string `json:"scopes_supported,omitempty"`
	BearerMethods  []string `json:"bearer_methods_supported"`
	Name           string   `json:"resource_name"`
	DPoPAlgorithms []string `json:"dpop_signing_alg_values_supported"`
}

// Mount adds the handler's routes.
func (h *Handler) Mount(r chi.Router) {
	for _, pattern := range []string{wellKnown, wellKnown + "/*"} {
		r.Method(http.MethodGet, pattern, httpkit.Handle(h.serve))
		r.Method(http.MethodOptions, pattern, httpkit.Handle(h.preflight))
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	path := strings.TrimPrefix(r.URL.Path, wellKnown)
	about, ok := h.Rules.Announced(path)
	if !ok {
		return &httpkit.Error{Code: http.StatusNotFound, Msg: "no such protected resource"}
	}
	name, scopes := h.Rules.Document(about)
	httpkit.WriteJSON(w, http.StatusOK, document{
		Resource: name, Servers: []string{h.Issuer}, Scopes: scopes,
		BearerMethods: []string{"header"}, Name: "gatehouse", DPoPAlgorithms: []string{"RS256", "ES256", "PS256", "EdDSA"},
	})
	return nil
}

func (h *Handler) preflight(w http.ResponseWriter, _ *http.Request) error {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "MCP-Protocol-Version, Authorization, Content-Type")
	header.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
