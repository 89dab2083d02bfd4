package main

import (
	"net/http"
	"slices"

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
	if len(answer.Servers) > 1 { // and the door before all of them
		all := contract.Server{Path: g.flags.MCPPath[0], Tools: []string{}}
		answer.Servers = slices.Insert(answer.Servers, 0, all)
	}
	httpkit.WriteJSON(w, http.StatusOK, answer)
}
