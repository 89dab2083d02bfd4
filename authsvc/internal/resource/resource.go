// Package resource is the tree of protected resources, and the rules of each:
// which audience opens it, which scopes and which role it needs, how a
// challenge and the metadata name it.
//
// The gate is the root of the tree: /mcp, with the names /sse, /message and the
// bare origin. Under it stands each server, /servers/NAME/mcp, with the like
// names. What was made for the gate opens all that the policy allows its user;
// what was made for a server opens that server alone.
//
// The package is pure, and must never know a handler, a token or a session.
package resource

import (
	"net/url"
	"strings"
)

// Resource is what a request is for.
type Resource struct {
	Server string // "" for the gate
	Path   string // as metadata and challenges name it; "" where the request named nothing that is known
}

// names are the paths under the gate and under each server.
const (
	mcp     = "/mcp"
	sse     = "/sse"
	message = "/message"
	servers = "/servers/"
)

// Of is the resource that a request for an address is for. Only an exact,
// known path names one, so nothing else of the address can reach a header, or
// pass for a server that it is not. /message is the other half of /sse: it is
// the stream that a client was given the address of.
func Of(originalURI string) Resource {
	u, err := url.ParseRequestURI(originalURI)
	if err != nil || u.RawPath != "" {
		return Resource{}
	}
	server, name := "", u.Path
	if rest, ok := strings.CutPrefix(name, servers); ok {
		var found bool
		if server, name, found = strings.Cut(rest, "/"); !found || !plainName(server) {
			return Resource{}
		}
		name = "/" + name
	}
	switch name {
	case mcp, sse:
	case message:
		name = sse
	default:
		return Resource{}
	}
	return Resource{Server: server, Path: base(server) + name}
}

// Announced is the resource whose metadata stand under a path: "", or what Of
// knows.
func Announced(path string) (Resource, bool) {
	if path == "" || path == "/" {
		return Resource{}, true
	}
	r := Of(path)
	return r, r.Path == path
}

func base(server string) string {
	if server == "" {
		return ""
	}
	return servers + server
}

func plainName(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return name != "" && len(name) <= 64 && strings.Trim(name, plain) == "" && strings.Trim(name, ".") != ""
}
