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
// its roles, and all of its scopes. turned hears of each whom it turns away.
func admit(e config.Server, metadata string, turned func(r *http.Request, why error)) httpkit.Middleware {
	return func(next http.Handler) http.Handler {
		if len(e.Gate.Roles) == 0 && len(e.Gate.Scopes) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := refused(e, identity.From(r.Context()), metadata); err != nil {
				turned(r, err)
				answer.Error(w, http.StatusForbidden, nil, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// turnedAway writes down whom the entry of a server turned away, and ends the
// streams of his session: he had what it asks for when they were opened. His
// message is not read, so that of it the method of HTTP is known alone.
func (g *gate) turnedAway(e config.Server) func(*http.Request, error) {
	return func(r *http.Request, why error) {
		who := identity.From(r.Context())
		by := &mux.Caller{Identity: who, Server: e.Name}
		mux.Refused(r.Context(), g.watch.sessionGuard(), by, &rpc.Message{Method: r.Method}, mux.StatusOf(why))
		g.table.Interrupt(sessionOf(r), who)
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
