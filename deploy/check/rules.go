package main

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/nginxinc/nginx-go-crossplane"
)

// rules looks for what nginx takes and the gate must not.
func rules(root *place) (faults []fault) {
	http := root.child("http")
	var gates []*place
	for _, server := range http.children("server") {
		if holds(server.own("server_rewrite_by_lua_block"), hookStrip) {
			gates = append(gates, server)
		}
	}
	if len(gates) == 0 && !laid(root) {
		return nil // nginx of a machine where the gate is not laid (yet, or any more)
	}
	if len(gates) == 0 {
		return []fault{{what: "no server includes gatehouse/server/auth.conf: there is no gate",
			mend: "include conf.d/gatehouse.conf in the http block of " + root.d.File}}
	}
	for _, server := range gates {
		faults = append(faults, guards(server)...)
		faults = append(faults, shadows(server)...)
		faults = append(faults, inherited(server)...)
		faults = append(faults, oneName(server)...)
		faults = append(faults, weak(server)...)
	}
	faults = append(faults, apart(http, gates)...)
	return append(faults, groups(http)...)
}

// laid tells whether any of the gate's files is part of the configuration.
func laid(root *place) (found bool) {
	root.walk(func(p *place) {
		found = found || slices.ContainsFunc(p.block(), func(d *crossplane.Directive) bool {
			return strings.Contains(d.File, "/gatehouse/server/") || strings.Contains(d.File, "/gatehouse/http/")
		})
	})
	return found
}

// inherited finds lists of a location's own that drop the server's.
func inherited(server *place) (faults []fault) {
	server.walk(func(p *place) {
		if p.d.Directive != "location" && p.d.Directive != "if" {
			return
		}
		if own := p.own("add_header"); own != nil && !says(own, "X-Content-Type-Options") {
			faults = append(faults, at(own[0], p.name()+": add_header here drops all the headers of the server",
				"include gatehouse/server/headers.conf beside it, or put it into site/server/headers.conf"))
		}
		if own := p.own("limit_req"); own != nil && !holds(own, "zone=mcp_") {
			faults = append(faults, at(own[0], p.name()+": limit_req here drops the limit for an address",
				"repeat the limit_req lines of site/limits.conf beside it"))
		}
		if own := p.own("auth_request_set"); own != nil && !says(own, "$gatehouse_user") {
			faults = append(faults, at(own[0], p.name()+": auth_request_set here drops the verdict, and nobody is let in",
				"read $gatehouse_user, $gatehouse_email or $gatehouse_roles instead"))
		}
	})
	for _, p := range append(server.locations(), server) {
		faults = append(faults, p.errorPages()...)
	}
	return faults
}

// errorPages wants of who may refuse that the refusal becomes the gate's answer:
// nginx takes the first line that names a status.
func (p *place) errorPages() (faults []fault) {
	own := p.own("error_page")
	if own == nil || p.d.Directive == "location" && !p.guarded() && !p.open() {
		return nil
	}
	for status, page := range map[string]string{"401": "@unauthorized", "403": "@forbidden", "500": "@gateway_error"} {
		i := slices.IndexFunc(
			own,
			func(d *crossplane.Directive) bool { return slices.Contains(d.Args[:len(d.Args)-1], status) },
		)
		if i >= 0 && own[i].Args[len(own[i].Args)-1] == page {
			continue
		}
		return []fault{
			at(own[0], p.name()+": error_page here drops the gate's refusals: an outage would look like a lost sign-in",
				"include gatehouse/location/refusals.conf beside it, and leave 401, 403 and 500 to it"),
		}
	}
	return nil
}

// oneName: authsvc makes redirects, cookies, metadata and the audience of tokens
// from its one public URL.
func oneName(server *place) (faults []fault) {
	var names []string
	for _, d := range server.own("server_name") {
		names = append(names, d.Args...)
		for _, name := range d.Args {
			if strings.ContainsAny(name, "*~_") || name == "" {
				return []fault{at(d, fmt.Sprintf("server_name %q: a gate answers to one name, which it is told", name),
					"write the host of authsvc's --public-url")}
			}
		}
		if len(names) > 1 {
			return []fault{
				at(
					d,
					fmt.Sprintf(
						"server_name %s: the gate has one public name: at a second one "+
							"sign-in ends in \"expired\" and tokens are for the first",
						strings.Join(names, " "),
					),
					"redirect the other name in a server of its own, or give it a gate of its own (docs/edge.md, several gates)",
				),
			}
		}
	}
	return nil
}

// apart wants of several gates that each has an authsvc of its own.
func apart(http *place, gates []*place) (faults []fault) {
	names := map[string]bool{}
	for _, g := range gates {
		for _, d := range g.own("server_name") {
			names[strings.Join(d.Args, " ")] = true
		}
	}
	if len(names) < 2 {
		return nil
	}
	for _, m := range http.children("map") {
		if len(m.d.Args) == 2 && m.d.Args[1] == authsvc && m.d.Args[0] == "" {
			faults = append(faults, m.fault(fmt.Sprintf("%d gates ask one authsvc, which has one public URL", len(names)),
				"map $host to the authsvc of each gate"))
		}
	}
	return faults
}

var nodeName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// groups looks whether what the gate's maps name is there.
func groups(http *place) (faults []fault) {
	upstreams := map[string]bool{}
	for _, u := range http.own("upstream") {
		upstreams[u.Args[0]] = true
	}
	for _, m := range http.children("map") {
		if len(m.d.Args) != 2 ||
			!slices.Contains(
				[]string{bridge, authsvc, "$gatehouse_health", "$gatehouse_metrics", "$gatehouse_keycloak"},
				m.d.Args[1],
			) {
			continue
		}
		for _, d := range m.block() {
			if len(d.Args) != 1 || d.Args[0] == "" {
				continue
			}
			if mend := unreachable(http, d.Args[0], upstreams); mend != "" {
				faults = append(faults, at(d, fmt.Sprintf("%s names %q, which is no upstream", m.d.Args[1], d.Args[0]), mend))
			}
			if m.d.Args[0] == "$gatehouse_node" && d.Directive != "default" && d.Directive != "" &&
				!nodeName.MatchString(d.Directive) {
				faults = append(faults, at(d, fmt.Sprintf("%q is no node's name: its sessions would go to any bridge", d.Directive),
					"write the bridge's --node: at most 32 of a-z, 0-9 and -"))
			}
		}
	}
	return faults
}

// unreachable says how to mend a name that nginx would look up in vain.
func unreachable(http *place, target string, upstreams map[string]bool) (mend string) {
	if upstreams[target] || strings.HasPrefix(target, "unix:") || strings.Contains(target, "$") {
		return ""
	}
	host, _, err := net.SplitHostPort(target)
	switch {
	case err != nil:
		return "write upstream " + target + " { server HOST:PORT max_fails=0; } in site/upstreams.conf, or correct the name"
	case net.ParseIP(host) == nil && http.own("resolver") == nil:
		return "add a resolver in site/paths.conf: this name is looked up as nginx runs"
	}
	return ""
}

// weak finds what opens more than it says, in what holds for a gate's server: its
// neighbours in this nginx are not judged.
func weak(server *place) (faults []fault) {
	for _, d := range server.nearest("underscores_in_headers") {
		if says([]*crossplane.Directive{d}, "on") {
			faults = append(
				faults,
				at(d, "underscores_in_headers on: X_User_Email of a client reads like X-User-Email", "take it out"),
			)
		}
	}
	for _, d := range server.nearest("ignore_invalid_headers") {
		if says([]*crossplane.Directive{d}, "off") {
			faults = append(
				faults,
				at(d, "ignore_invalid_headers off: names that no two servers read alike pass", "take it out"),
			)
		}
	}
	for _, d := range server.nearest("ssl_protocols") {
		if slices.ContainsFunc(d.Args, func(v string) bool { return v != "TLSv1.2" && v != "TLSv1.3" }) {
			faults = append(
				faults,
				at(
					d,
					"ssl_protocols "+strings.Join(d.Args, " ")+": older than TLS 1.2 (RFC 8996)",
					"ssl_protocols TLSv1.2 TLSv1.3;",
				),
			)
		}
	}
	for _, d := range server.nearest("set_real_ip_from") {
		if everybody(d.Args[0]) {
			faults = append(
				faults,
				at(
					d,
					"set_real_ip_from "+d.Args[0]+": everybody may say which address they come from",
					"name the proxy's own addresses",
				),
			)
		}
	}
	return faults
}

func everybody(network string) bool {
	_, n, err := net.ParseCIDR(network)
	if err != nil {
		return false
	}
	ones, _ := n.Mask.Size()
	return ones == 0
}
