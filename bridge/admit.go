package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/guard"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// admit refuses who lacks what the server's entry asks of its callers: one of
// its roles, and all of its scopes. told hears of each, may be nil.
func admit(e config.Server, metadata string, told mux.Guard) httpkit.Middleware {
	return func(next http.Handler) http.Handler {
		if len(e.Gate.Roles) == 0 && len(e.Gate.Scopes) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := identity.From(r.Context())
			if err := refused(e, who, metadata); err != nil {
				// Its message is not read: what is known is the method of HTTP.
				m := &rpc.Message{Method: r.Method}
				mux.Refused(r.Context(), told, &mux.Caller{Identity: who, Server: e.Name}, m, mux.StatusOf(err))
				answer.Error(w, http.StatusForbidden, nil, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// hasRole reports whether a caller has one of the roles that the entry asks for.
func hasRole(e config.Server, id *contract.Identity) bool {
	return len(e.Gate.Roles) == 0 || slices.ContainsFunc(e.Gate.Roles, func(role string) bool {
		return slices.Contains(id.Roles, role)
	})
}

func refused(e config.Server, id *contract.Identity, metadata string) error {
	if !hasRole(e, id) {
		return &rpc.Error{Code: rpc.CodeInvalidRequest,
			Message: fmt.Sprintf("%s is for callers with the role %s", e.Name, strings.Join(e.Gate.Roles, " or "))}
	}
	for _, scope := range e.Gate.Scopes {
		if !slices.Contains(id.Scopes, scope) {
			no := &rpc.Error{Code: rpc.CodeInvalidRequest,
				Message: fmt.Sprintf("%s asks for the scope %s", e.Name, strings.Join(e.Gate.Scopes, " "))}
			return &mux.ScopeError{RPC: no, Challenge: guard.Challenge(id, e.Gate.Scopes, metadata)}
		}
	}
	return nil
}
