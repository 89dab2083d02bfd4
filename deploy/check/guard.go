package main

import (
	"slices"
	"strings"

	"github.com/nginxinc/nginx-go-crossplane"
)

// How the gate's hooks stand in the configuration.
const (
	hookStrip = `"gatehouse.guard").strip()`
	hookAdmit = `"gatehouse.guard").admit()`
	hookRoute = `"gatehouse.guard").route()`
	askURI    = "/_gatehouse/auth"
	bridge    = "$gatehouse_bridge"
	authsvc   = "$gatehouse_authsvc"
)

// passes are the directives that hand a request to somebody else.
func passes() []string {
	return []string{"proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"}
}

// passing is the directive by which a location hands requests on, also in an `if`
// of its own, or nil.
func (p *place) passing() *crossplane.Directive {
	if own := p.own(passes()...); own != nil {
		return own[0]
	}
	for _, inner := range p.children("if", "limit_except") {
		if d := inner.passing(); d != nil {
			return d
		}
	}
	return nil
}

func (p *place) passesTo(variable string) bool {
	d := p.passing()
	return d != nil && strings.Contains(d.Args[0], variable)
}

func (p *place) guarded() bool {
	return says(p.nearest("auth_request"), askURI) && holds(p.nearest("access_by_lua_block"), hookAdmit)
}

func (p *place) open() bool { return holds(p.nearest("access_by_lua_block"), hookRoute) }

// answersItself are places behind which somebody else asks who is there, or
// nobody need: authsvc's pages, the health of the bridge, and Keycloak.
func (p *place) answersItself() bool {
	return slices.ContainsFunc([]string{authsvc, "$gatehouse_health", "$gatehouse_keycloak"}, p.passesTo)
}

// guards looks at every location of a gate that hands requests on.
func guards(server *place) (faults []fault) {
	for _, l := range server.locations() {
		faults = append(faults, l.guardFaults(server)...)
	}
	return append(faults, signIn(server)...)
}

func (p *place) guardFaults(server *place) (faults []fault) {
	asks, admits := says(p.nearest("auth_request"), askURI), holds(p.nearest("access_by_lua_block"), hookAdmit)
	guarded, to := p.guarded(), p.passing()
	switch {
	case to == nil && asks == admits, p.answersItself():
	case p.passesTo("$gatehouse_metrics"):
		if !says(p.own("deny"), "all") {
			faults = append(faults, p.fault("the metrics are open to everybody", "end site/metrics.conf with `deny all;`"))
		}
	case guarded, p.open() && !asks, !asks && !admits && p.behindGuard(server):
	case asks != admits:
		faults = append(faults, p.fault("half a guard: auth_request and access_by_lua_block belong together",
			"include gatehouse/location/protect.conf and have neither in the location itself"))
	default:
		faults = append(faults, at(to, p.name()+" hands requests on and asks nobody who is there",
			"include gatehouse/location/protect.conf, or location/open.conf where it is for everybody"))
	}
	if guarded {
		faults = append(faults, p.undone()...)
	}
	if p.passesTo(bridge) {
		faults = append(faults, p.bridgeFaults()...)
	}
	return faults
}

// undone is what takes a guard its meaning.
func (p *place) undone() (faults []fault) {
	for _, d := range p.own("return") {
		faults = append(faults, at(d, p.name()+": `return` answers before the guard asks",
			"put it into a named location: try_files /nothing @answer;"))
	}
	for _, d := range p.own("rewrite") {
		if says([]*crossplane.Directive{d}, "redirect") || says([]*crossplane.Directive{d}, "permanent") {
			faults = append(faults, at(d, p.name()+": the redirect answers before the guard asks",
				"put it into a named location: try_files /nothing @answer;"))
		}
	}
	if says(p.nearest("satisfy"), "any") && says(p.nearest("allow"), "all") {
		faults = append(
			faults,
			p.fault("`satisfy any` with `allow all` lets everybody in", "name the addresses in allow, and end with `deny all;`"),
		)
	}
	return faults
}

// behindGuard tells of a named or internal location whether all that lead to it
// have a guard: it is then reached by nobody else.
func (p *place) behindGuard(server *place) bool {
	if len(p.d.Args) != 1 || !strings.HasPrefix(p.d.Args[0], "@") {
		return false
	}
	from := 0
	for _, l := range append(server.locations(), server) {
		if says(l.own("try_files", "error_page"), p.d.Args[0]) {
			from++
			if l.d.Directive != "location" || !l.guarded() {
				return false
			}
		}
	}
	return from > 0
}

// bridgeFaults looks at a location of the bridge.
func (p *place) bridgeFaults() (faults []fault) {
	if !holds(p.nearest("proxy_set_header"), "X-User-Assertion $gatehouse_assertion") {
		faults = append(faults, p.fault("the bridge is not told who calls, and will refuse",
			"include gatehouse/location/identity.conf"))
	}
	if says(p.nearest("proxy_intercept_errors"), "on") {
		faults = append(faults, p.fault("the bridge's own errors are replaced: a client cannot tell that its session is gone",
			"include gatehouse/location/stream.conf"))
	}
	if says(p.nearest("satisfy"), "any") {
		faults = append(faults, p.fault("who comes by address has no identity, and the bridge will refuse",
			"take `satisfy any` out: it is for locations of your own"))
	}
	if says(p.nearest("access_log"), "off") {
		faults = append(faults, p.fault("calls leave no line in the audit log", "take `access_log off` out"))
	}
	return faults
}

// signIn is off at all of the bridge's paths or at none: a session that one path
// made for nobody would be open at another.
func signIn(server *place) (faults []fault) {
	var open, guarded []*place
	for _, l := range server.locations() {
		switch {
		case !l.passesTo(bridge):
		case l.guarded():
			guarded = append(guarded, l)
		case l.open():
			open = append(open, l)
		}
	}
	if len(guarded) == 0 {
		return nil
	}
	for _, l := range open {
		faults = append(faults, l.fault("nobody signs in here, and elsewhere at the bridge everybody does",
			"include gatehouse/location/bridge.conf here, or bridge_open.conf at all of the bridge's paths"))
	}
	return faults
}
