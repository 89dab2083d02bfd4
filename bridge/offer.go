package main

import (
	"net/http"

	"gatehouse/bridge/internal/identity"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// offer tells who asks what is here for them: for the page that authsvc shows a
// person. It starts no child, so that it names the tools which a server has
// listed to somebody before.
func (g *gate) offer(w http.ResponseWriter, r *http.Request) {
	id := identity.From(r.Context())
	answer := contract.Servers{Servers: []contract.Server{}}
	only := g.roster.only()
	for _, s := range g.roster.all() {
		if s.server == nil || !hasRole(s.entry, id) || !g.watch.reaches(id, s.entry.Name) {
			continue
		}
		path := serversPath + s.entry.Name
		if s == only {
			path = ""
		}
		answer.Servers = append(answer.Servers, contract.Server{
			Name: s.entry.Name, Path: path + g.flags.MCPPath[0], Tools: g.watch.tools(id, s.entry.Name),
		})
	}
	httpkit.WriteJSON(w, http.StatusOK, answer)
}
